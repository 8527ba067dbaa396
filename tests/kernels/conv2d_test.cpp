#include "kernels/conv2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <random>
#include <vector>

namespace kagami {

void PrintTo(const Conv2dShape& s, std::ostream* out) {
  *out << s.n << 'x' << s.h << 'x' << s.w << 'x' << s.c << " to " << s.k << ", " << s.r << 'x' << s.s << " stride "
       << s.stride << " pad " << s.pad;
}

namespace {

using Doubles = std::vector<double>;

std::size_t size_of_x(const Conv2dShape& s) { return std::size_t(s.n) * s.h * s.w * s.c; }
std::size_t size_of_w(const Conv2dShape& s) { return std::size_t(s.k) * s.r * s.s * s.c; }
std::size_t size_of_y(const Conv2dShape& s) { return std::size_t(s.n) * s.out_h() * s.out_w() * s.k; }

Doubles normal(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  Doubles values(count);
  for (double& v : values) v = distribution(generator);
  return values;
}

/// Calls f(x index, w index, y index) for every product in the definition.
template <class F>
void each_product(const Conv2dShape& z, F f) {
  std::size_t y = 0;
  for (int n = 0; n < z.n; ++n)
    for (int p = 0; p < z.out_h(); ++p)
      for (int q = 0; q < z.out_w(); ++q)
        for (int k = 0; k < z.k; ++k, ++y)
          for (int r = 0; r < z.r; ++r)
            for (int s = 0; s < z.s; ++s) {
              const int row = p * z.stride + r - z.pad, column = q * z.stride + s - z.pad;
              if (row < 0 || row >= z.h || column < 0 || column >= z.w) continue;
              for (int c = 0; c < z.c; ++c)
                f(((std::size_t(n) * z.h + row) * z.w + column) * z.c + c,
                  ((std::size_t(k) * z.r + r) * z.s + s) * z.c + c, y);
            }
}

struct Problem {
  explicit Problem(const Conv2dShape& s)
      : shape(s),
        x(normal(size_of_x(s), 1)),
        w(normal(size_of_w(s), 2)),
        dy(normal(size_of_y(s), 3)),
        bias(normal(s.k, 4)) {}
  Conv2dShape shape;
  Doubles x, w, dy, bias;
};

struct Results {
  Doubles y, dx, dw;
};

/// The definition. Gradients start from dx0 and dw0 where `accumulate`.
Results by_definition(const Problem& p, bool bias) {
  Results r{Doubles(size_of_y(p.shape)), Doubles(p.x.size()), Doubles(p.w.size())};
  if (bias)
    for (std::size_t i = 0; i < r.y.size(); ++i) r.y[i] = p.bias[i % p.shape.k];
  each_product(p.shape, [&](std::size_t x, std::size_t w, std::size_t y) {
    r.y[y] += p.x[x] * p.w[w];
    r.dx[x] += p.w[w] * p.dy[y];
    r.dw[w] += p.x[x] * p.dy[y];
  });
  return r;
}

template <class T>
std::vector<T> as(const Doubles& values) {
  return {values.begin(), values.end()};
}

/// All three passes in T. With `accumulate` the gradients are added to ones.
template <class T>
Results computed(const Problem& p, bool bias, Accumulate accumulate) {
  Arena arena;
  const Cpu device{&arena};
  const auto x = as<T>(p.x), w = as<T>(p.w), dy = as<T>(p.dy), b = as<T>(p.bias);
  const T fill = accumulate == Accumulate::yes ? T{1} : std::nan("");
  std::vector<T> y(size_of_y(p.shape), std::nan("")), dx(x.size(), fill), dw(w.size(), fill);
  conv2d_forward(device, p.shape, x.data(), Weights<T>{w.data()}, y.data(), {bias ? b.data() : nullptr});
  conv2d_dgrad(device, p.shape, dy.data(), Weights<T>{w.data()}, dx.data(), accumulate);
  conv2d_wgrad(device, p.shape, x.data(), dy.data(), dw.data(), accumulate);
  return {Doubles(y.begin(), y.end()), Doubles(dx.begin(), dx.end()), Doubles(dw.begin(), dw.end())};
}

/// Frobenius norm of the difference over that of `expected`.
double relative_error(const Doubles& got, const Doubles& expected) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(difference) / (size > 0 ? std::sqrt(size) : 1);
}

template <class T>
void expect_matches(const Conv2dShape& shape, double tolerance) {
  const Problem problem(shape);
  for (const bool extra : {false, true}) {
    Results expected = by_definition(problem, extra);
    if (extra)
      for (Doubles* gradient : {&expected.dx, &expected.dw})
        for (double& v : *gradient) v += 1;
    const Results got = computed<T>(problem, extra, extra ? Accumulate::yes : Accumulate::no);
    EXPECT_TRUE(relative_error(got.y, expected.y) <= tolerance) << relative_error(got.y, expected.y);
    EXPECT_TRUE(relative_error(got.dx, expected.dx) <= tolerance) << relative_error(got.dx, expected.dx);
    EXPECT_TRUE(relative_error(got.dw, expected.dw) <= tolerance) << relative_error(got.dw, expected.dw);
  }
}

class Conv2d : public testing::TestWithParam<Conv2dShape> {};

TEST_P(Conv2d, DoubleAgreesWithTheDefinition) { expect_matches<double>(GetParam(), 1e-13); }
TEST_P(Conv2d, FloatAgreesWithTheDefinition) { expect_matches<float>(GetParam(), 3e-6); }

// n, h, w, c, k, r, s, stride, pad
INSTANTIATE_TEST_SUITE_P(Shapes, Conv2d,
                         testing::Values(Conv2dShape{2, 8, 8, 3, 16, 3, 3, 1, 1},   // CIFAR stem
                                         Conv2dShape{2, 9, 7, 3, 8, 7, 7, 2, 3},    // ImageNet stem
                                         Conv2dShape{3, 9, 8, 3, 16, 3, 3, 2, 1},   // CIFAR stem, stride 2
                                         Conv2dShape{2, 7, 5, 32, 16, 3, 3, 1, 1},  // residual block
                                         Conv2dShape{2, 8, 8, 16, 48, 3, 3, 2, 1},  // downsampling block
                                         Conv2dShape{3, 7, 9, 17, 20, 3, 3, 2, 1},  // odd everything
                                         Conv2dShape{2, 6, 6, 16, 64, 1, 1, 1, 0},  // bottleneck
                                         Conv2dShape{2, 7, 7, 16, 32, 1, 1, 2, 0},  // shortcut
                                         Conv2dShape{1, 5, 5, 1, 1, 3, 3, 1, 1},    // one channel
                                         Conv2dShape{1, 1, 1, 16, 16, 3, 3, 1, 1},  // one pixel
                                         Conv2dShape{2, 6, 5, 5, 7, 2, 4, 1, 0},    // even, uneven taps, no padding
                                         Conv2dShape{1, 4, 4, 2, 3, 3, 3, 3, 2},    // stride 3
                                         Conv2dShape{1, 3, 3, 16, 16, 3, 3, 1, 2},  // more padding than needed
                                         Conv2dShape{2, 8, 8, 16, 16, 4, 4, 4, 0},  // patches
                                         Conv2dShape{1, 6, 6, 4, 4, 1, 1, 3, 1}));  // taps that see padding alone

}  // namespace
}  // namespace kagami
