// Launches kernels of its own, which only the emulated build compiles in a test.
#if KAGAMI_EMULATED
#include "kernels/cuda/reduce.cuh"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cuda/elements.cuh"
#include "tests/kernels/cuda_reference.h"

namespace kagami {
namespace {

constexpr int rounds = 12;

/// Reductions one after another in the same shared memory: what each thread got in each round.
__global__ void repeated_reductions(const float* x, float* sums, float* maxima) {
  for (int round = 0; round < rounds; ++round) {
    const float value = x[(threadIdx.x + 7 * static_cast<unsigned>(round)) % cuda::team_threads];
    const unsigned at = static_cast<unsigned>(round * cuda::team_threads) + threadIdx.x;
    const float sum = cuda::WholeBlock::reduce(value, cuda::Add{});
    const float twice = cuda::WholeBlock::reduce(2 * value, cuda::Add{});  // in the memory of the one before
    sums[at] = sum + twice;
    maxima[at] = cuda::WholeBlock::reduce(value, cuda::Larger{});
  }
}

TEST(ReduceCuda, EveryThreadGetsTheResult) {
  const std::vector<float> x = normal_values<float>(cuda::team_threads, 1);
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value);
  const float largest = *std::max_element(x.begin(), x.end());
  const OnDevice<float> from(x);
  constexpr std::size_t results = rounds * cuda::team_threads;
  const auto [sums, maxima] = on_every_device([&](const Cuda& device) {
    const OnDevice<float> to_sums(results), to_maxima(results);
    launch<repeated_reductions>(device, dim3{1}, dim3{cuda::team_threads}, 0, static_cast<const float*>(from.data()),
                                to_sums.data(), to_maxima.data());
    return std::tuple(to_sums.host(), to_maxima.host());
  });
  for (std::size_t i = 0; i < results; ++i) {
    EXPECT_NEAR(static_cast<double>(sums[i]), 3 * sum, 3e-4);
    EXPECT_EQ(sums[i], sums[i / cuda::team_threads * cuda::team_threads]) << "thread " << i % cuda::team_threads;
    EXPECT_EQ(maxima[i], largest);
  }
}

TEST(ReduceCuda, CompensatedSumKeepsWhatIsRoundedOff) {
  cuda::CompensatedSum sum;
  sum.add(1e8F);
  for (int i = 0; i < 1000; ++i) sum.add(1.0F);
  sum.add(-1e8F);
  EXPECT_EQ(sum.total(), 1000.0F);
}

TEST(ReduceCuda, CompensatedSumOfInfinityIsInfinite) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  cuda::CompensatedSum one, both;
  for (const float x : {1.0F, infinity, 2.0F}) one.add(x);
  for (const float x : {infinity, -infinity}) both.add(x);
  EXPECT_EQ(one.total(), infinity);
  EXPECT_TRUE(std::isnan(both.total()));
}

TEST(ReduceCuda, PlaceOfLargeIndices) {
  const std::int64_t large = (std::int64_t{1} << 40) + 12345;
  for (const std::int64_t columns : {std::int64_t{3}, std::int64_t{1} << 20, (std::int64_t{1} << 33) + 1}) {
    for (const std::int64_t index : {std::int64_t{0}, std::int64_t{77}, (std::int64_t{1} << 32) - 1, large}) {
      const cuda::Place at = cuda::place_of(index, columns);
      EXPECT_EQ(at.row, index / columns);
      EXPECT_EQ(at.column, index % columns);
    }
  }
}

}  // namespace
}  // namespace kagami
#endif
