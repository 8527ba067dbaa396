#if KAGAMI_HAS_CUDA
#include "kernels/copy.h"

#include <numeric>

#include "tests/kernels/cuda_reference.h"

namespace kagami {
namespace {

/// Values that differ from one another; small whole numbers, so that every type holds them.
template <class T>
std::vector<T> values(std::int64_t count, std::uint32_t seed) {
  Philox random(seed, Purpose::test, 0, 0, 0);
  std::vector<T> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(T(static_cast<Wide<T>>(random.below(251))));
  return result;
}

/// Runs f(device, from, to) on the CPU and on CUDA, on devices of several sizes, and expects the same bits.
template <class T, class F>
void expect_same(const std::vector<T>& from, const std::vector<T>& to, F&& f) {
  std::vector<T> expected = to;
  f(test_cpu(), from.data(), expected.data());
  const OnDevice<T> source(from);
  for (const int multiprocessors : {1, 7, 132}) {
    SCOPED_TRACE(multiprocessors);
    const OnDevice<T> target(to);
    Cuda device = test_cuda();
    device.multiprocessors = multiprocessors;
    f(device, source.data(), target.data());
    EXPECT_TRUE(same_bits(target.host(), expected));
  }
}

template <class T>
class CopyCuda : public testing::Test {};
using Types = testing::Types<float, double, std::int32_t, std::uint8_t, bf16>;
TYPED_TEST_SUITE(CopyCuda, Types);

TYPED_TEST(CopyCuda, Rows) {
  using T = TypeParam;
  const struct {
    std::int64_t rows, length, from_pitch, to_pitch;
  } cases[] = {{5, 7, 9, 8}, {33, 16, 32, 48}, {6, 12, 12, 16}, {1, 13, 40, 50}, {9, 11, 11, 11}, {70, 130, 131, 144}};
  under_every_schedule([&] {
    for (const auto& c : cases) {
      SCOPED_TRACE(c.length);
      expect_same(values<T>(c.rows * c.from_pitch, 1), values<T>(c.rows * c.to_pitch, 2),
                  [&](auto device, const T* from, T* to) {
                    copy_rows(device, c.rows, c.length, from, c.from_pitch, to, c.to_pitch, Accumulate::no);
                  });
    }
  });
}

TYPED_TEST(CopyCuda, MisalignedRows) {
  using T = TypeParam;
  under_every_schedule([&] {
    expect_same(values<T>(5 * 32, 1), values<T>(5 * 32, 2), [&](auto device, const T* from, T* to) {
      copy_rows(device, 4, std::int64_t{16}, from + 1, 32, to + 3, 32, Accumulate::no);
    });
  });
}

TYPED_TEST(CopyCuda, Permute) {
  using T = TypeParam;
  const PermuteShape cases[] = {
      {1, {37}, {1}},
      {2, {40, 51}, {1, 40}},                   // transposed
      {3, {3, 33, 65}, {33 * 65, 1, 33}},       // transposed, batched
      {4, {2, 9, 10, 3}, {270, 10, 1, 90}},     // NCHW to NHWC: too few channels for squares
      {4, {2, 16, 5, 17}, {1360, 1, 272, 16}},  // NHWC to NCHW
      {3, {4, 5, 16}, {16, 64, 1}},             // whole rows move
      {3, {4, 5, 7}, {7, 28, 1}},               // whole rows, odd
      {6, {2, 3, 2, 3, 2, 5}, {180, 1, 90, 3, 45, 9}},
  };
  under_every_schedule([&] {
    for (const PermuteShape& shape : cases) {
      const std::int64_t count =
          std::accumulate(shape.extent, shape.extent + shape.axes, std::int64_t{1}, std::multiplies<>());
      SCOPED_TRACE(count);
      expect_same(values<T>(count, 3), std::vector<T>(static_cast<std::size_t>(count)),
                  [&](auto device, const T* from, T* to) { permute(device, shape, from, to); });
    }
  });
}

TYPED_TEST(CopyCuda, Gather) {
  using T = TypeParam;
  const std::vector<std::int32_t> indices = {4, 0, 4, 10, 3, 3, 3};
  const OnDevice<std::int32_t> on_device(indices);
  under_every_schedule([&] {
    for (const std::int64_t inner : {1, 5, 16, 48}) {
      SCOPED_TRACE(inner);
      expect_same(values<T>(3 * 11 * inner, 4), values<T>(3 * 7 * inner, 5), [&](auto device, const T* from, T* to) {
        const bool cpu = std::is_same_v<decltype(device), Cpu>;
        gather_rows(device, 3, 11, inner, cpu ? indices.data() : on_device.data(), 7, from, to);
      });
    }
  });
}

std::vector<std::int32_t> repeated_indices(std::int64_t count, std::uint32_t extent) {
  Philox random(6, Purpose::test, 0, 0, 0);
  std::vector<std::int32_t> indices;
  for (std::int64_t j = 0; j < count; ++j) indices.push_back(static_cast<std::int32_t>(random.below(extent)));
  return indices;
}

TYPED_TEST(CopyCuda, RowsAreAddedBitForBit) {
  using T = TypeParam;
  under_every_schedule([&] {
    expect_same(values<T>(9 * 40, 7), values<T>(9 * 50, 8),
                [](auto device, const T* from, T* to) { copy_rows(device, 9, 37, from, 40, to, 50, Accumulate::yes); });
  });
}

TEST(CopyCudaSums, RowsOfBf16AreRoundedOnce) {
  const std::vector<bf16> from = normal_values<bf16>(60, 7), to = normal_values<bf16>(60, 8);
  std::vector<bf16> on_cpu = to;
  copy_rows(test_cpu(), 4, 15, from.data(), 15, on_cpu.data(), 15, Accumulate::yes);
  under_every_schedule([&] {
    const OnDevice<bf16> source(from), target(to);
    copy_rows(test_cuda(), 4, 15, source.data(), 15, target.data(), 15, Accumulate::yes);
    const std::vector<bf16> sums = target.host();
    EXPECT_TRUE(same_bits(sums, on_cpu));
    for (std::size_t i = 0; i < to.size(); ++i)
      EXPECT_EQ(sums[i].bits, bf16(static_cast<float>(from[i]) + static_cast<float>(to[i])).bits) << i;
  });
}

TEST(CopyCudaSums, ScatterAddsInOrder) {
  under_every_schedule([&] {
    for (const std::int64_t count : {1, 31, 64, 200}) {
      SCOPED_TRACE(count);
      const std::vector<std::int32_t> indices = repeated_indices(count, 12);
      const OnDevice<std::int32_t> on_device(indices);
      expect_same(normal_values<float>(2 * count * 9, 9), normal_values<float>(2 * 12 * 9, 10),
                  [&](auto device, const float* from, float* to) {
                    const bool cpu = std::is_same_v<decltype(device), Cpu>;
                    scatter_add_rows(device, 2, 12, 9, cpu ? indices.data() : on_device.data(), count, from, to);
                  });
    }
  });
}

TEST(CopyCudaSums, ScatterAddOfBf16IsRoundedOnce) {
  constexpr std::int64_t count = 90, inner = 6, extent = 4;
  const std::vector<std::int32_t> indices = repeated_indices(count, extent);
  const std::vector<bf16> from = normal_values<bf16>(count * inner, 11), to = normal_values<bf16>(extent * inner, 12);
  std::vector<float> expected;
  for (const bf16 x : to) expected.push_back(static_cast<float>(x));
  for (std::size_t j = 0; j < indices.size(); ++j)
    for (std::size_t i = 0; i < inner; ++i)
      expected[static_cast<std::size_t>(indices[j]) * inner + i] += static_cast<float>(from[j * inner + i]);
  const OnDevice<std::int32_t> on_device(indices);
  under_every_schedule([&] {
    const OnDevice<bf16> source(from), target(to);
    scatter_add_rows(test_cuda(), 1, extent, inner, on_device.data(), count, source.data(), target.data());
    const std::vector<bf16> sums = target.host();
    for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i].bits, bf16(expected[i]).bits) << i;
  });
}

TEST(CopyCudaSums, NothingToDoIsNoLaunch) {
  copy_rows(test_cuda(), 0, 5, static_cast<const float*>(nullptr), 5, static_cast<float*>(nullptr), 5, Accumulate::no);
  gather_rows(test_cuda(), 2, 3, 0, nullptr, 4, static_cast<const float*>(nullptr), static_cast<float*>(nullptr));
  scatter_add_rows(test_cuda(), 2, 3, 5, nullptr, 0, static_cast<const float*>(nullptr), static_cast<float*>(nullptr));
}

}  // namespace
}  // namespace kagami
#endif
