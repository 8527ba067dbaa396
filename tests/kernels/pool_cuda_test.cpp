#if KAGAMI_HAS_CUDA
#include "kernels/pool.h"

#include "tests/kernels/cuda_reference.h"

namespace kagami {
namespace {

template <class T>
class PoolCuda : public testing::Test {};
using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(PoolCuda, Types);

// n, h, w, c, kernel, stride, pad
const PoolShape shapes[] = {{2, 9, 8, 5, 3, 2, 1},  {1, 7, 7, 33, 2, 2, 0}, {3, 5, 6, 4, 3, 1, 1},
                            {1, 11, 4, 3, 5, 3, 2}, {2, 6, 6, 2, 2, 3, 0},  {1, 9, 8, 12, 3, 2, 1}};
const Accumulate ways[] = {Accumulate::no, Accumulate::yes};

std::int64_t in_size(const PoolShape& s) { return std::int64_t{s.n} * s.h * s.w * s.c; }
std::int64_t out_size(const PoolShape& s) { return std::int64_t{s.n} * s.out_h() * s.out_w() * s.c; }

/// Values with many equals and some NaN.
template <class T>
std::vector<T> values_with_equals(std::int64_t count) {
  Philox random(1, Purpose::test, 0, 0, 0);
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(random.below(40)) - 20;
    values.push_back(T(value == 0 ? NAN : value));
  }
  return values;
}

TYPED_TEST(PoolCuda, Maximum) {
  using T = TypeParam;
  for (const PoolShape& shape : shapes) {
    SCOPED_TRACE(testing::Message() << shape.h << "x" << shape.w << " kernel " << shape.kernel);
    const std::vector<T> x = values_with_equals<T>(in_size(shape)), dy = normal_values<T>(out_size(shape), 2),
                         before = normal_values<T>(in_size(shape), 3);
    const std::size_t outputs = dy.size();
    std::vector<double> y(outputs);
    std::vector<std::uint8_t> winner(outputs);
    max_pool_forward(test_cpu(), shape, widened(x).data(), y.data(), winner.data());
    const OnDevice<T> from(x), slopes(dy);
    const auto [got_y, got_winner, alone] = on_every_device([&](const Cuda& device) {
      const OnDevice<T> to(outputs), to_alone(outputs);
      const OnDevice<std::uint8_t> won(outputs);
      max_pool_forward(device, shape, static_cast<const T*>(from.data()), to.data(), won.data());
      max_pool_forward(device, shape, static_cast<const T*>(from.data()), to_alone.data(),
                       static_cast<std::uint8_t*>(nullptr));
      return std::tuple(to.host(), won.host(), to_alone.host());
    });
    EXPECT_EQ(got_winner, winner);
    EXPECT_TRUE(same_bits(got_y, alone));
    const std::vector<double> maxima = widened(got_y);
    for (std::size_t i = 0; i < outputs; ++i)
      EXPECT_TRUE(maxima[i] == y[i] || (std::isnan(maxima[i]) && std::isnan(y[i]))) << maxima[i] << " not " << y[i];

    const OnDevice<std::uint8_t> won(winner);
    for (const Accumulate accumulate : ways) {
      std::vector<double> expected = widened(before);
      max_pool_backward(test_cpu(), shape, widened(dy).data(), winner.data(), expected.data(), accumulate);
      const auto [dx] = on_every_device([&](const Cuda& device) {
        const OnDevice<T> to(before);
        max_pool_backward(device, shape, static_cast<const T*>(slopes.data()),
                          static_cast<const std::uint8_t*>(won.data()), to.data(), accumulate);
        return std::tuple(to.host());
      });
      expect_close("dx", dx, expected);
    }
  }
}

TYPED_TEST(PoolCuda, GlobalAverage) {
  using T = TypeParam;
  const struct { int n, pixels, c; } cases[] = {{1, 1, 1}, {3, 49, 5}, {2, 16, 300}, {1, 1000, 3}};
  for (const auto& s : cases) {
    SCOPED_TRACE(s.pixels);
    const std::int64_t outputs = std::int64_t{s.n} * s.c, inputs = outputs * s.pixels;
    const std::vector<T> x = normal_values<T>(inputs, 1), dy = normal_values<T>(outputs, 2),
                         before = normal_values<T>(inputs, 3);
    std::vector<double> y(dy.size());
    global_avg_pool_forward(test_cpu(), s.n, s.pixels, s.c, widened(x).data(), y.data());
    const OnDevice<T> from(x), slopes(dy);
    const auto [got_y] = on_every_device([&](const Cuda& device) {
      const OnDevice<T> to(dy.size());
      global_avg_pool_forward(device, s.n, s.pixels, s.c, static_cast<const T*>(from.data()), to.data());
      return std::tuple(to.host());
    });
    expect_close("y", got_y, y);
    for (const Accumulate accumulate : ways) {
      std::vector<double> expected = widened(before);
      global_avg_pool_backward(test_cpu(), s.n, s.pixels, s.c, widened(dy).data(), expected.data(), accumulate);
      const auto [dx] = on_every_device([&](const Cuda& device) {
        const OnDevice<T> to(before);
        global_avg_pool_backward(device, s.n, s.pixels, s.c, static_cast<const T*>(slopes.data()), to.data(),
                                 accumulate);
        return std::tuple(to.host());
      });
      expect_close("dx", dx, expected);
    }
  }
}

TEST(PoolCudaSums, LongSumsLoseNothing) {
  constexpr int pixels = 60000;  // one thread's: a plain float sum is off by some 1e-5
  std::vector<float> x = normal_values<float>(pixels, 1);
  for (float& value : x) value += 10;
  double y = 0;
  global_avg_pool_forward(test_cpu(), 1, pixels, 1, widened(x).data(), &y);
  const OnDevice<float> from(x), to(1);
  global_avg_pool_forward(test_cuda(), 1, pixels, 1, static_cast<const float*>(from.data()), to.data());
  EXPECT_NEAR(static_cast<double>(to.host()[0]), y, y * 1.5e-7);
}

}  // namespace
}  // namespace kagami
#endif
