#include "kernels/conv2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "tests/each_isa.h"

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

Results by_definition(const Problem& p) {
  Results r{Doubles(size_of_y(p.shape)), Doubles(p.x.size()), Doubles(p.w.size())};
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

/// What the passes must give: plainly, and with a bias and gradients added to ones.
struct Expected {
  explicit Expected(const Problem& problem) : plain(by_definition(problem)), extra(plain) {
    for (std::size_t i = 0; i < extra.y.size(); ++i) extra.y[i] += problem.bias[i % problem.shape.k];
    for (Doubles* gradient : {&extra.dx, &extra.dw})
      for (double& v : *gradient) v += 1;
  }
  Results plain, extra;
};

void expect_near(const Results& got, const Results& expected, double tolerance) {
  EXPECT_TRUE(relative_error(got.y, expected.y) <= tolerance) << "y: " << relative_error(got.y, expected.y);
  EXPECT_TRUE(relative_error(got.dx, expected.dx) <= tolerance) << "dx: " << relative_error(got.dx, expected.dx);
  EXPECT_TRUE(relative_error(got.dw, expected.dw) <= tolerance) << "dw: " << relative_error(got.dw, expected.dw);
}

template <class T>
void expect_matches(const Problem& problem, const Expected& expected, double tolerance) {
  expect_near(computed<T>(problem, false, Accumulate::no), expected.plain, tolerance);
  expect_near(computed<T>(problem, true, Accumulate::yes), expected.extra, tolerance);
}

class Conv2d : public testing::TestWithParam<Conv2dShape> {
 protected:
  void TearDown() override {
    cpu::set_isa("auto");
    cpu::set_conv_algorithm("auto");
    cpu::set_threads(0);
  }
};

TEST_P(Conv2d, AgreesWithTheDefinition) {
  const Problem problem(GetParam());
  const Expected expected(problem);
  expect_matches<double>(problem, expected, 1e-13);
  test::for_each_isa([&] {
    for (const char* algorithm : {"direct", "winograd"}) {
      SCOPED_TRACE(std::string("float, ") + algorithm);
      cpu::set_conv_algorithm(algorithm);
      expect_matches<float>(problem, expected, 3e-6);
    }
  });
}

TEST_P(Conv2d, HasTheSameBitsWithAnyNumberOfThreads) {
  const Problem problem(GetParam());
  for (const char* algorithm : {"direct", "winograd"}) {
    cpu::set_conv_algorithm(algorithm);
    cpu::set_threads(1);
    const Results one = computed<float>(problem, true, Accumulate::yes);
    for (const int threads : {2, 5}) {
      cpu::set_threads(threads);
      const Results more = computed<float>(problem, true, Accumulate::yes);
      EXPECT_TRUE(one.y == more.y && one.dx == more.dx && one.dw == more.dw) << threads << " threads, " << algorithm;
    }
  }
}

// n, h, w, c, k, r, s, stride, pad
INSTANTIATE_TEST_SUITE_P(Shapes, Conv2d,
                         testing::Values(Conv2dShape{2, 8, 8, 3, 16, 3, 3, 1, 1},       // CIFAR stem
                                         Conv2dShape{2, 20, 18, 3, 48, 3, 3, 1, 1},     // the same wider, several bands
                                         Conv2dShape{2, 17, 21, 3, 8, 7, 7, 2, 3},      // ImageNet stem
                                         Conv2dShape{2, 20, 18, 3, 64, 7, 7, 2, 3},     // lanes along k
                                         Conv2dShape{3, 17, 16, 3, 16, 3, 3, 2, 1},     // CIFAR stem, stride 2
                                         Conv2dShape{2, 7, 5, 32, 16, 3, 3, 1, 1},      // residual block
                                         Conv2dShape{2, 4, 4, 48, 80, 3, 3, 1, 1},      // small map
                                         Conv2dShape{2, 8, 8, 16, 48, 3, 3, 2, 1},      // downsampling, small map
                                         Conv2dShape{2, 19, 18, 16, 32, 3, 3, 2, 1},    // downsampling on bands
                                         Conv2dShape{3, 7, 9, 17, 20, 3, 3, 2, 1},      // odd everything
                                         Conv2dShape{2, 23, 25, 5, 35, 3, 3, 2, 1},     // the same on bands
                                         Conv2dShape{2, 6, 6, 16, 64, 1, 1, 1, 0},      // bottleneck, small map
                                         Conv2dShape{2, 9, 10, 48, 20, 1, 1, 1, 0},     // bottleneck, read in place
                                         Conv2dShape{2, 7, 7, 16, 32, 1, 1, 2, 0},      // shortcut, small map
                                         Conv2dShape{2, 18, 17, 16, 32, 1, 1, 2, 0},    // shortcut, read in place
                                         Conv2dShape{2, 17, 16, 7, 5, 1, 1, 2, 0},      // the same with tails
                                         Conv2dShape{3, 17, 18, 112, 160, 1, 1, 2, 0},  // shortcut, a large sum
                                         Conv2dShape{2, 4, 4, 20, 600, 3, 3, 2, 1},     // several blocks of outputs
                                         Conv2dShape{1, 5, 5, 1, 1, 3, 3, 1, 1},        // one channel
                                         Conv2dShape{2, 28, 28, 1, 16, 3, 3, 1, 1},     // one channel, on bands
                                         Conv2dShape{1, 5, 7, 2, 32, 3, 3, 1, 0},       // two channels, no padding
                                         Conv2dShape{3, 6, 5, 4, 16, 3, 3, 1, 2},       // four channels
                                         Conv2dShape{1, 1, 1, 16, 16, 3, 3, 1, 1},      // one pixel
                                         Conv2dShape{2, 6, 5, 5, 7, 2, 4, 1, 0},        // even, uneven taps, no padding
                                         Conv2dShape{2, 12, 14, 6, 9, 5, 3, 1, 2},      // uneven taps on bands
                                         Conv2dShape{1, 4, 4, 2, 3, 3, 3, 3, 2},        // stride 3
                                         Conv2dShape{1, 3, 3, 16, 16, 3, 3, 1, 2},      // more padding than needed
                                         Conv2dShape{1, 9, 12, 16, 16, 3, 3, 1, 0},     // no padding
                                         Conv2dShape{2, 8, 8, 16, 16, 4, 4, 4, 0},      // patches
                                         Conv2dShape{2, 18, 16, 16, 16, 2, 2, 2, 0},    // patches, read in place
                                         Conv2dShape{1, 9, 9, 300, 34, 3, 3, 1, 1},     // a sum in several chunks
                                         Conv2dShape{1, 6, 6, 4, 4, 1, 1, 3, 1}));      // taps that see padding alone

/// The fast passes against the plain loops in double, for shapes too large for the definition.
TEST(Conv2dWays, AgreeWithThePlainLoops) {
  for (const Conv2dShape& shape : {Conv2dShape{8, 32, 32, 16, 16, 3, 3, 1, 1},      // Winograd, wide, one panel
                                   Conv2dShape{5, 23, 30, 48, 80, 3, 3, 1, 1},      // wide, two chunks of k, tails
                                   Conv2dShape{2, 30, 30, 144, 16, 3, 3, 1, 1},     // wide, two chunks of c
                                   Conv2dShape{150, 3, 3, 160, 192, 3, 3, 1, 1},    // deep, two blocks of patches
                                   Conv2dShape{3, 33, 31, 64, 128, 3, 3, 2, 1}}) {  // bands
    const Problem problem(shape);
    const Results expected = computed<double>(problem, false, Accumulate::no);
    for (const int threads : {2, 1}) {
      cpu::set_threads(threads);
      SCOPED_TRACE(testing::PrintToString(shape));
      expect_near(computed<float>(problem, false, Accumulate::no), expected, 4e-6);
    }
    cpu::set_threads(0);
  }
}

TEST(ConvAlgorithm, IsPickedByShapeOrByName) {
  using cpu::conv_algorithm, cpu::ConvAlgorithm, cpu::ConvPass;
  const Conv2dShape block{64, 8, 8, 64, 64, 3, 3, 1, 1}, strided{64, 8, 8, 64, 64, 3, 3, 2, 1};
  const Conv2dShape stem{64, 8, 8, 3, 64, 3, 3, 1, 1}, tiny{64, 2, 2, 64, 64, 3, 3, 1, 1};
  EXPECT_EQ(conv_algorithm(block, ConvPass::forward), ConvAlgorithm::winograd);
  EXPECT_EQ(conv_algorithm(strided, ConvPass::forward), ConvAlgorithm::direct);
  EXPECT_EQ(conv_algorithm(stem, ConvPass::forward), ConvAlgorithm::winograd);
  EXPECT_EQ(conv_algorithm(stem, ConvPass::wgrad), ConvAlgorithm::direct);
  EXPECT_EQ(conv_algorithm(tiny, ConvPass::dgrad), ConvAlgorithm::direct);
  cpu::set_conv_algorithm("direct");
  EXPECT_EQ(conv_algorithm(block, ConvPass::forward), ConvAlgorithm::direct);
  cpu::set_conv_algorithm("winograd");
  EXPECT_EQ(conv_algorithm(tiny, ConvPass::dgrad), ConvAlgorithm::winograd);
  EXPECT_EQ(conv_algorithm(strided, ConvPass::dgrad), ConvAlgorithm::direct);
  cpu::set_conv_algorithm("auto");
  try {
    cpu::set_conv_algorithm("fft");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "unknown convolution algorithm 'fft': use auto, direct or winograd");
  }
}

}  // namespace
}  // namespace kagami
