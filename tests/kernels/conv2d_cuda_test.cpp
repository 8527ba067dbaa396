#if KAGAMI_HAS_CUDA
#include <gtest/gtest.h>

#include <limits>

#include "kernels/conv2d.h"
#include "kernels/cuda/gemm_table.h"
#include "tests/kernels/cuda_case.h"
#include "tests/kernels/cuda_numbers.h"

namespace kagami {
namespace {

template <class T>
struct Results {
  std::vector<T> y, dx;
  std::vector<Wide<T>> dw;
};

template <class T>
struct Problem {
  explicit Problem(const Conv2dShape& s)
      : shape(s),
        x(normal_values<T>(std::size_t(s.n) * s.h * s.w * s.c, 1)),
        w(normal_values<T>(std::size_t(s.k) * s.r * s.s * s.c, 2)),
        dy(normal_values<T>(std::size_t(s.n) * s.out_h() * s.out_w() * s.k, 3)),
        bias(normal_values<Wide<T>>(s.k, 4)) {}

  /// By the CPU in double. With `accumulate` there is a bias, and gradients are added to ones.
  Results<double> expected(Accumulate accumulate) const {
    Arena arena;
    const Cpu cpu{&arena};
    const std::vector<double> x64 = as_doubles(x), w64 = as_doubles(w), dy64 = as_doubles(dy),
                              bias64 = as_doubles(bias);
    const bool add = accumulate == Accumulate::yes;
    Results<double> r{std::vector<double>(dy.size()), std::vector<double>(x.size(), 1),
                      std::vector<double>(w.size(), 1)};
    conv2d_forward<double>(cpu, shape, x64.data(), {w64.data()}, r.y.data(), {add ? bias64.data() : nullptr});
    conv2d_dgrad<double>(cpu, shape, dy64.data(), {w64.data()}, r.dx.data(), accumulate);
    conv2d_wgrad<double>(cpu, shape, x64.data(), dy64.data(), r.dw.data(), accumulate);
    return r;
  }

  Results<T> computed(const Cuda& device, Accumulate accumulate) const {
    const bool add = accumulate == Accumulate::yes;
    const float fill = add ? 1.0f : std::numeric_limits<float>::quiet_NaN();
    const OnDevice<T> dev_x(x), dev_w(w), dev_dy(dy), y(dy.size()), dx(std::vector<T>(x.size(), T(fill)));
    const OnDevice<Wide<T>> dev_bias(bias), dw(std::vector<Wide<T>>(w.size(), fill));
    conv2d_forward<T>(device, shape, dev_x.data(), {dev_w.data()}, y.data(), {add ? dev_bias.data() : nullptr});
    conv2d_dgrad<T>(device, shape, dev_dy.data(), {dev_w.data()}, dx.data(), accumulate);
    conv2d_wgrad<T>(device, shape, dev_x.data(), dev_dy.data(), dw.data(), accumulate);
    return {y.host(), dx.host(), dw.host()};
  }

  Conv2dShape shape;
  std::vector<T> x, w, dy;
  std::vector<Wide<T>> bias;
};

testing::Message name(const Conv2dShape& s) {
  return testing::Message() << s.n << 'x' << s.h << 'x' << s.w << 'x' << s.c << " to " << s.k << ", " << s.r << 'x'
                            << s.s << " stride " << s.stride << " pad " << s.pad;
}

/// All three passes under every schedule. With `accumulate` there is a bias, and gradients are added to ones.
template <class T>
void expect_agrees(const Conv2dShape& shape, Accumulate accumulate, double tolerance, const Cuda& device) {
  SCOPED_TRACE(name(shape));
  const Problem<T> problem(shape);
  const Results<double> expected = problem.expected(accumulate);
  under_every_schedule([&] {
    const Results<T> got = problem.computed(device, accumulate);
    const double y = relative_error(got.y, expected.y), dx = relative_error(got.dx, expected.dx);
    const double dw = relative_error(got.dw, expected.dw);
    EXPECT_TRUE(y <= tolerance) << "y: " << y;
    EXPECT_TRUE(dx <= tolerance) << "dx: " << dx;
    EXPECT_TRUE(dw <= tolerance) << "dw: " << dw;
  });
}

/// n, h, w, c, k, r, s, stride, pad: every kind of layer of the ResNets, and shapes that are odd in some way.
const Conv2dShape shapes[] = {{2, 9, 7, 3, 16, 3, 3, 1, 1},    // CIFAR stem
                              {1, 9, 9, 3, 64, 7, 7, 2, 3},    // ImageNet stem
                              {1, 12, 11, 1, 20, 3, 3, 1, 1},  // grey images
                              {2, 7, 5, 16, 16, 3, 3, 1, 1},   // residual block
                              {1, 6, 6, 64, 72, 3, 3, 1, 1},   // residual block, tails in k
                              {2, 7, 6, 16, 64, 3, 3, 2, 1},   // downsampling, parity classes of unequal size
                              {1, 8, 8, 72, 16, 3, 3, 2, 1},   // downsampling
                              {2, 5, 4, 64, 128, 1, 1, 1, 0},  // bottleneck
                              {1, 7, 7, 128, 64, 1, 1, 2, 0},  // shortcut: three classes of pixels without a tap
                              {2, 6, 5, 5, 7, 2, 4, 1, 0},     // nothing aligned
                              {1, 7, 9, 17, 20, 3, 3, 2, 1},   // nothing aligned, strided
                              {1, 8, 8, 8, 24, 4, 4, 4, 0},    // patches
                              {1, 5, 4, 2, 3, 3, 3, 3, 2},     // stride 3
                              {1, 1, 1, 16, 16, 3, 3, 1, 1},   // one pixel
                              {1, 6, 6, 4, 4, 1, 1, 3, 1},     // taps that see padding alone
                              {1, 9, 1, 8, 8, 5, 1, 1, 2}};    // uneven taps
/// More pixels than one tile, of channels that fill one.
const Conv2dShape larger{2, 9, 9, 8, 136, 3, 3, 1, 1}, larger_strided{2, 9, 10, 40, 24, 3, 3, 2, 1};

/// Takes one tile for every product while it lives.
struct WithTile {
  explicit WithTile(gemm::Tile tile) { gemm::forced_tile = tile; }
  ~WithTile() { gemm::forced_tile.reset(); }
};
constexpr gemm::Tile all_tiles[] = {gemm::Tile::small, gemm::Tile::narrow, gemm::Tile::flat, gemm::Tile::wide};

template <class T>
void expect_agrees_on_every_shape(double tolerance, const Cuda& device = test_cuda()) {
  for (const Conv2dShape& shape : shapes)
    for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes})
      expect_agrees<T>(shape, accumulate, tolerance, device);
}

template <class T>
void expect_agrees_in_every_tile(double tolerance, const Cuda& device = test_cuda()) {
  for (const gemm::Tile tile : all_tiles) {
    const WithTile forced(tile);
    expect_agrees<T>(larger, Accumulate::yes, tolerance, device);
    expect_agrees<T>(larger_strided, Accumulate::yes, tolerance, device);
  }
}

TEST(Conv2dCuda, Fp32AgreesWithTheCpu) { expect_agrees_on_every_shape<float>(1e-6); }
TEST(Conv2dCuda, Fp32AgreesInEveryTile) { expect_agrees_in_every_tile<float>(1e-6); }

/// The results y and dx are rounded to bf16: a relative error of 2^-9 at most.
TEST(Conv2dCuda, Bf16AgreesWithTheCpu) { expect_agrees_on_every_shape<bf16>(4e-3); }
TEST(Conv2dCuda, Bf16AgreesInEveryTile) { expect_agrees_in_every_tile<bf16>(4e-3); }

TEST(Conv2dCuda, RefusesImagesThatItsNumbersCannotHold) {
  for (const Conv2dShape& shape :
       {Conv2dShape{1, 32766, 1, 8, 8, 1, 1, 1, 1}, Conv2dShape{1, 1, 40000, 8, 8, 1, 1, 1, 0},
        Conv2dShape{1 << 20, 60, 60, 8, 8, 1, 1, 1, 0}})
    EXPECT_TRUE(mentions(error_of([&] { conv2d_forward<float>(test_cuda(), shape, nullptr, {nullptr}, nullptr); }),
                         "too large"));
}

Cuda with_tf32() {
  Cuda device = test_cuda();
  device.tf32 = true;
  return device;
}
TEST(Conv2dCuda, Tf32AgreesWithTheCpu) { expect_agrees_on_every_shape<float>(6e-4, with_tf32()); }
TEST(Conv2dCuda, Tf32AgreesInEveryTile) { expect_agrees_in_every_tile<float>(6e-4, with_tf32()); }

template <class T>
void expect_same_bits(const Conv2dShape& shape, Cuda device = test_cuda()) {
  const Problem<T> problem(shape);
  const Results<T> first = problem.computed(device, Accumulate::yes);
  for (const int multiprocessors : {1, 7, 132}) {
    device.multiprocessors = multiprocessors;
    const Results<T> again = problem.computed(device, Accumulate::yes);
    EXPECT_TRUE(same_bits(first.y, again.y) && same_bits(first.dx, again.dx) && same_bits(first.dw, again.dw))
        << multiprocessors;
  }
}
TEST(Conv2dCuda, HasTheSameBitsOnAnyDevice) {
  expect_same_bits<float>(larger_strided);
  expect_same_bits<float>(larger_strided, with_tf32());
  expect_same_bits<bf16>(larger_strided);
}

/// A NaN in one image reaches all of that image's windows over it, and no other image.
TEST(Conv2dCuda, ANanStaysInItsImage) {
  Problem<float> problem({3, 5, 5, 8, 16, 3, 3, 1, 1});
  const std::size_t image = 5 * 5 * 8;
  problem.x[image + 12 * 8 + 3] = std::numeric_limits<float>::quiet_NaN();  // the middle pixel of the second image
  const std::vector<float> y = problem.computed(test_cuda(), Accumulate::no).y;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t pixel = i / 16, row = pixel / 5 % 5, column = pixel % 5;
    const bool sees_it = pixel / 25 == 1 && row >= 1 && row <= 3 && column >= 1 && column <= 3;
    EXPECT_EQ(std::isnan(y[i]), sees_it) << i;
  }
}

}  // namespace
}  // namespace kagami
#endif
