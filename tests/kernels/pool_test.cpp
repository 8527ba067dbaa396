#include "kernels/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace kagami {
namespace {

template <class T>
std::vector<T> values(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<T> v(static_cast<std::size_t>(count));
  for (T& x : v) x = static_cast<T>(static_cast<int>(generator() % 41)) / 8 - 2;  // few values: ties are common
  return v;
}

template <class T>
void expect_max_pool(const PoolShape& t) {
  Arena arena;
  const Cpu device{&arena};
  const std::int64_t in = std::int64_t{t.n} * t.h * t.w * t.c, out = std::int64_t{t.n} * t.out_h() * t.out_w() * t.c;
  const std::vector<T> x = values<T>(in, 1), dy = values<T>(out, 2);
  std::vector<T> y(static_cast<std::size_t>(out)), dx(x.size(), T(0.5)), want_dx(x.size(), T(0.5));
  std::vector<std::uint8_t> winner(y.size());
  max_pool_forward(device, t, x.data(), y.data(), winner.data());
  max_pool_backward(device, t, dy.data(), winner.data(), dx.data(), Accumulate::yes);
  std::size_t at = 0;
  for (int n = 0; n < t.n; ++n)
    for (int p = 0; p < t.out_h(); ++p)
      for (int q = 0; q < t.out_w(); ++q)
        for (int c = 0; c < t.c; ++c, ++at) {
          T best = -std::numeric_limits<T>::infinity();
          std::size_t from = 0;
          for (int i = p * t.stride - t.pad; i < p * t.stride - t.pad + t.kernel; ++i)
            for (int j = q * t.stride - t.pad; j < q * t.stride - t.pad + t.kernel; ++j) {
              if (i < 0 || j < 0 || i >= t.h || j >= t.w) continue;
              const std::size_t here = static_cast<std::size_t>(((n * t.h + i) * t.w + j) * t.c + c);
              if (x[here] > best) {
                best = x[here];
                from = here;
              }
            }
          ASSERT_EQ(y[at], best) << "at " << at;
          want_dx[from] += dy[at];
        }
  ASSERT_EQ(at, y.size());
  for (std::size_t i = 0; i < dx.size(); ++i) ASSERT_EQ(dx[i], want_dx[i]) << "dx at " << i;
  std::vector<T> without(y.size());
  max_pool_forward(device, t, x.data(), without.data(), nullptr);
  EXPECT_EQ(without, y);
}

TEST(Pool, MaximumAgreesWithTheDefinition) {
  for (const PoolShape& t : {PoolShape{2, 7, 8, 19, 3, 2, 1}, PoolShape{1, 4, 4, 3, 2, 2, 0},
                             PoolShape{1, 5, 3, 64, 3, 1, 1}, PoolShape{3, 9, 9, 5, 4, 3, 2}}) {
    expect_max_pool<float>(t);
    expect_max_pool<double>(t);
  }
}

TEST(Pool, MaximumPassesNaNOn) {
  Arena arena;
  std::vector<float> x(16, 1.0F), y(4);
  x[5] = std::nanf("");
  max_pool_forward<float>(Cpu{&arena}, {1, 4, 4, 1, 2, 2, 0}, x.data(), y.data(), nullptr);
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 1.0F);
}

template <class T>
void expect_average(int n, int pixels, int c) {
  Arena arena;
  const Cpu device{&arena};
  const std::vector<T> x = values<T>(std::int64_t{n} * pixels * c, 3), dy = values<T>(std::int64_t{n} * c, 4);
  std::vector<T> y(dy.size()), dx(x.size(), T(1)), fresh(x.size(), T(7));
  global_avg_pool_forward(device, n, pixels, c, x.data(), y.data());
  global_avg_pool_backward(device, n, pixels, c, dy.data(), dx.data(), Accumulate::yes);
  global_avg_pool_backward(device, n, pixels, c, dy.data(), fresh.data(), Accumulate::no);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < c; ++j) {
      const std::size_t out = static_cast<std::size_t>(i * c + j);
      double sum = 0;
      for (int p = 0; p < pixels; ++p) {
        const std::size_t in = static_cast<std::size_t>((i * pixels + p) * c + j);
        sum += x[in];
        ASSERT_NEAR(dx[in], 1 + dy[out] / pixels, 1e-6);
        ASSERT_NEAR(fresh[in], dy[out] / pixels, 1e-6);
      }
      ASSERT_NEAR(y[out], sum / pixels, 1e-6);
    }
}

TEST(Pool, AverageAgreesWithTheDefinition) {
  expect_average<float>(9, 16, 37);
  expect_average<double>(3, 49, 8);
  expect_average<float>(1, 1, 1);
}

}  // namespace
}  // namespace kagami
