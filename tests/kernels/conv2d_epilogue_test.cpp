// What a convolution does besides convolving, on every device: its epilogue, and measuring for a batch norm. Both are
// compared with the same work in separate passes.
#include <gtest/gtest.h>

#include "kernels/conv2d.h"
#include "tests/kernels/cuda_case.h"
#include "tests/kernels/cuda_numbers.h"
#if KAGAMI_HAS_CUDA
#include "kernels/cuda/gemm_table.h"
#endif

namespace kagami {
namespace {

constexpr double eps = 1e-5, momentum = 0.1;

/// Memory of the CPU, with the interface of OnDevice.
template <class T>
class OnHost {
 public:
  explicit OnHost(std::size_t count) : values_(count) {}
  explicit OnHost(const std::vector<T>& values) : values_(values) {}
  T* data() const { return values_.data(); }
  std::vector<T> host() const { return values_; }

 private:
  mutable std::vector<T> values_;
};

template <class T, template <class> class Memory, class Device>
struct Layer {
  using W = Wide<T>;
  Device device;
  Conv2dShape shape;
  std::size_t channels, outputs;
  Memory<T> x, w, residual;
  Memory<W> scale, bias;

  Layer(const Device& d, const Conv2dShape& s)
      : device(d),
        shape(s),
        channels(static_cast<std::size_t>(s.k)),
        outputs(static_cast<std::size_t>(s.n * s.out_h() * s.out_w()) * channels),
        x(normal_values<T>(static_cast<std::size_t>(s.n * s.h * s.w * s.c), 1)),
        w(normal_values<T>(channels * static_cast<std::size_t>(s.r * s.s * s.c), 2)),
        residual(normal_values<T>(outputs, 3)),
        scale(normal_values<W>(channels, 4)),
        bias(normal_values<W>(channels, 5)) {}

  std::vector<T> forward(const ConvEpilogue<T>& epilogue) const {
    const Memory<T> y(outputs);
    conv2d_forward<T>(device, shape, x.data(), {w.data()}, y.data(), epilogue);
    return y.host();
  }

  struct Measured {
    std::vector<T> y;
    std::vector<double> mean, inverse_std, running;
  };
  /// In one, or one after the other.
  Measured measured(int groups, bool in_one) const {
    const std::size_t size = channels * static_cast<std::size_t>(groups);
    const Memory<T> y(outputs);
    const Memory<W> saved(5 * size), running(std::vector<W>(2 * channels, W(1)));
    W* s = saved.data();
    const BatchNormMeasure<T> measure{{static_cast<std::int64_t>(outputs / channels), shape.k, groups},
                                      {scale.data(), bias.data(), running.data(), running.data() + channels},
                                      eps,
                                      momentum,
                                      RunningUpdate::in_order,
                                      {s, s + size, s + 2 * size, s + 3 * size, s + 4 * size}};
    if (in_one) {
      conv2d_forward_measured<T>(device, shape, x.data(), {w.data()}, y.data(), measure);
    } else {
      conv2d_forward<T>(device, shape, x.data(), {w.data()}, y.data());
      batch_norm_measure<T>(device, measure, y.data());
    }
    const std::vector<double> all = as_doubles(saved.host());
    const auto part = [&](std::size_t i) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(i * size);
      return std::vector<double>(first, first + static_cast<std::ptrdiff_t>(size));
    };
    return {y.host(), part(0), part(2), as_doubles(running.host())};
  }
};

/// n, h, w, c, k, r, s, stride, pad: strips that are cut off, that groups share, that fill whole tiles.
const Conv2dShape shapes[] = {{2, 9, 7, 3, 16, 3, 3, 1, 1},   {2, 5, 4, 8, 72, 1, 1, 1, 0},
                              {4, 8, 8, 16, 24, 3, 3, 1, 1},  {2, 16, 16, 8, 64, 3, 3, 2, 1},
                              {4, 4, 4, 16, 7, 3, 3, 1, 1},   {2, 1, 1, 8, 8, 1, 1, 1, 0},
                              {2, 8, 16, 8, 136, 1, 1, 1, 0}, {2, 3, 3, 5, 9, 2, 2, 1, 0}};

template <class T, template <class> class Memory, class Device>
void expect_epilogue(const Device& device, double tolerance) {
  for (const Conv2dShape& shape : shapes) {
    const Layer<T, Memory, Device> layer(device, shape);
    const std::vector<double> plain = as_doubles(layer.forward({})), added = as_doubles(layer.residual.host());
    const std::vector<double> scale = as_doubles(layer.scale.host()), bias = as_doubles(layer.bias.host());
    for (const bool scaled : {false, true})
      for (const bool relu : {false, true})
        for (const bool residual : {false, true}) {
          std::vector<double> expected;
          for (std::size_t i = 0; i < plain.size(); ++i) {
            const double value =
                plain[i] * (scaled ? scale[i % scale.size()] : 1) + bias[i % bias.size()] + (residual ? added[i] : 0);
            expected.push_back(relu && value < 0 ? 0 : value);
          }
          const auto got = layer.forward({layer.bias.data(), scaled ? layer.scale.data() : nullptr,
                                          residual ? layer.residual.data() : nullptr, relu});
          const double error = relative_error(got, expected);
          EXPECT_TRUE(error <= tolerance) << error << " scaled " << scaled << " relu " << relu << " residual "
                                          << residual << " of " << shape.c << " to " << shape.k;
        }
  }
}

template <class T, template <class> class Memory, class Device>
void expect_measures(const Device& device, const Conv2dShape& shape, int groups) {
  SCOPED_TRACE(testing::Message() << shape.n << 'x' << shape.h << 'x' << shape.w << 'x' << shape.c << " to " << shape.k
                                  << ", " << groups << " groups");
  const Layer<T, Memory, Device> layer(device, shape);
  const auto got = layer.measured(groups, true), expected = layer.measured(groups, false);
  EXPECT_TRUE(same_bits(got.y, expected.y));
  EXPECT_TRUE(relative_error(got.mean, expected.mean) <= 1e-6) << relative_error(got.mean, expected.mean);
  EXPECT_TRUE(relative_error(got.inverse_std, expected.inverse_std) <= 1e-6);
  EXPECT_TRUE(relative_error(got.running, expected.running) <= 1e-6);
}

template <class T, template <class> class Memory, class Device>
void expect_measures(const Device& device) {
  for (const Conv2dShape& shape : shapes)
    for (const int groups : {1, 2})
      if (shape.n * shape.out_h() * shape.out_w() / groups >= 2) expect_measures<T, Memory>(device, shape, groups);
}

TEST(Conv2dEpilogue, OnTheCpu) {
  Arena arena;
  expect_epilogue<float, OnHost>(Cpu{&arena}, 1e-6);
  expect_epilogue<double, OnHost>(Cpu{&arena}, 1e-7);  // results are compared as floats
}

TEST(Conv2dEpilogue, MeasuresOnTheCpu) {
  Arena arena;
  expect_measures<float, OnHost>(Cpu{&arena});
  expect_measures<double, OnHost>(Cpu{&arena});
}

#if KAGAMI_HAS_CUDA
Cuda with_tf32() {
  Cuda device = test_cuda();
  device.tf32 = true;
  return device;
}

/// Calls f under every schedule, by the table's tile and by each tile that can take the product.
template <class F>
void in_every_tile(F f) {
  f();
  for (const gemm::Tile tile : {gemm::Tile::small, gemm::Tile::narrow, gemm::Tile::flat, gemm::Tile::wide}) {
    SCOPED_TRACE(testing::Message() << "tile " << static_cast<int>(tile));
    gemm::forced_tile = tile;
    f();
  }
  gemm::forced_tile.reset();
}

TEST(Conv2dEpilogueCuda, Applies) {
  expect_epilogue<float, OnDevice>(test_cuda(), 1e-6);
  expect_epilogue<float, OnDevice>(with_tf32(), 1e-6);
  expect_epilogue<bf16, OnDevice>(test_cuda(), 5e-3);
}

TEST(Conv2dEpilogueCuda, MeasuresInFp32) {
  in_every_tile([] { expect_measures<float, OnDevice>(test_cuda()); });
}
TEST(Conv2dEpilogueCuda, MeasuresInTf32) {
  in_every_tile([] { expect_measures<float, OnDevice>(with_tf32()); });
}
TEST(Conv2dEpilogueCuda, MeasuresInBf16) {
  in_every_tile([] { expect_measures<bf16, OnDevice>(test_cuda()); });
}

/// So many rows that several strips are joined at a time, of 16, 32 or 64 rows, the last of them with one less in all.
TEST(Conv2dEpilogueCuda, MeasuresManyRows) {
  const Conv2dShape shape{5, 91, 90, 4, 8, 1, 1, 1, 0};
  expect_measures<float, OnDevice>(test_cuda(), shape, 1);
  expect_measures<float, OnDevice>(with_tf32(), shape, 1);
  expect_measures<bf16, OnDevice>(test_cuda(), shape, 1);
}

TEST(Conv2dEpilogueCuda, MeasuresUnderEverySchedule) {
  under_every_schedule([] { expect_measures<bf16, OnDevice>(test_cuda()); });
}
#endif

}  // namespace
}  // namespace kagami
