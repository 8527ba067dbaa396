#pragma once
// Convolutions on the main loop of gemm.cuh. conv2d*.cu instantiate them, one type each.
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/conv2d.h"
#include "kernels/cuda/batch_norm.cuh"
#include "kernels/cuda/conv_operands.cuh"
#include "kernels/cuda/conv_stem.cuh"
#include "kernels/cuda/gemm_tiles.cuh"

namespace kagami {
namespace gemm {

/// Rows and columns of pixels are kept as 16-bit numbers, pixels as 32-bit ones.
inline void check_extents(const Conv2dShape& shape) {
  constexpr std::int64_t longest = std::numeric_limits<short>::max(), most = std::numeric_limits<int>::max();
  const std::int64_t h = shape.h + 2 * shape.pad + shape.r, w = shape.w + 2 * shape.pad + shape.s;
  if (h > longest || w > longest || shape.n * h * w > most)
    throw std::length_error("conv2d: " + std::to_string(shape.n) + " images of " + std::to_string(shape.h) + " x " +
                            std::to_string(shape.w) + " pixels are too large for CUDA; use smaller images or batches");
}

/// Copies of four elements are half as wide as they can be in bf16: images' widened pixels.
template <class T, class... Pointers>
bool takes_stem_copies(int channels, const Pointers*... operands) {
  return sizeof(T) == 2 && channels == stem_channels && (on_boundary(operands, stem_channels) && ...);
}

/// Calls f.template operator()<Core>(start): start(result) launches the product into [pixels, k].
template <Arithmetic arithmetic, class T, class F>
void with_forward(Cuda device, const Conv2dShape& shape, const T* x, const T* w, F f) {
  if (has_few_channels(shape)) {
    const auto wide_x = widened_images(device, shape, x), wide_w = widened_weights(device, shape, w);
    return with_forward<arithmetic>(device, widened(shape), wide_x.data(), wide_w.data(), f);
  }
  constexpr int vector = 16 / sizeof(T);
  const int pixels = shape.n * shape.out_h() * shape.out_w(), taps = shape.r * shape.s * shape.c;
  const bool aligned = shape.c % vector == 0 && on_boundary(x, vector) && on_boundary(w, vector);
  const Pixels<T> a{x, shape.n, shape.h, shape.w, shape.c, forward_window(shape)};
  const Matrix<T, true> b{w, taps, 0, shape.k, taps};
  const Plan plan = gemm::plan(arithmetic, {pixels, shape.k, taps, 1, aligned, false});
  const auto run = [&]<class Core, int Vector>() {
    f.template operator()<Core>([&](const MeasuredResult<T>& result) {
      launch_product<Core, Vector>(device, pixels, shape.k, 1, Range{0, taps}, a, b, result);
    });
  };
  if (takes_stem_copies<T>(shape.c, x, w))
    with_core<arithmetic, vector, stem_channels>(plan.tile, aligned, run);
  else
    with_core<arithmetic, vector>(plan.tile, aligned, run);
}

template <class T>
MeasuredResult<T> forward_result(const Conv2dShape& shape, T* y, const Epilogue<T>& epilogue) {
  const int pixels = shape.n * shape.out_h() * shape.out_w();
  const bool aligned = shape.k % 4 == 0 && on_boundary(y, 4) && on_boundary(epilogue.added, 4);
  return {{y, shape.k, 0, pixels, shape.k, aligned, epilogue}};
}

template <Arithmetic arithmetic, class T>
void forward(Cuda device, const Conv2dShape& shape, const T* x, const T* w, T* y, const Epilogue<T>& epilogue) {
  with_forward<arithmetic>(device, shape, x, w,
                           [&]<class Core>(auto start) { start(forward_result(shape, y, epilogue)); });
}

template <Arithmetic arithmetic, class T>
void forward_measured(Cuda device, const Conv2dShape& shape, const T* x, const T* w, T* y,
                      const BatchNormMeasure<T>& measure) {
  with_forward<arithmetic>(device, shape, x, w, [&]<class Core>(auto start) {
    MeasuredResult<T> result = forward_result(shape, y, {});
    if (!norm::fits_strips(measure.shape, Core::strip_rows)) {
      start(result);
      return batch_norm_measure(device, measure, static_cast<const T*>(y));
    }
    const std::size_t strips = static_cast<std::size_t>((result.rows + Core::strip_rows - 1) / Core::strip_rows);
    const std::size_t size = strips * static_cast<std::size_t>(shape.k);
    const Scratch<float> moments(device.memory, 2 * size);
    result.means = moments.data(), result.squares = moments.data() + size;
    start(result);
    norm::measure_from_strips(device, measure, {result.means, result.squares, Core::strip_rows});
  });
}

/// All parity classes in one launch: blockIdx.z is the class, the grid that of the largest class.
template <Arithmetic arithmetic, class T>
void dgrad(Cuda device, const Conv2dShape& shape, const T* dy, const T* w, T* dx, Accumulate accumulate) {
  constexpr int vector = 16 / sizeof(T);
  const ParityClass largest(shape, 0);
  const int pixels = shape.n * largest.vertical.size * largest.horizontal.size, taps = shape.r * shape.s * shape.k;
  const int classes = shape.stride * shape.stride;
  const bool aligned =
      shape.c % vector == 0 && shape.k % vector == 0 && on_boundary(dy, vector) && on_boundary(w, vector);
  const ParityPixels<T> a{{dy, shape.n, shape.out_h(), shape.out_w(), shape.k, {}}, shape};
  const Taps<T> b{w, shape, 0, 0, 0, 0};
  const ParityResult<T> result{
      dx, shape, shape.c, shape.c % 4 == 0 && on_boundary(dx, 4), accumulating(dx, accumulate), 0, 0, 0, 0};
  const Plan plan = gemm::plan(arithmetic, {pixels, shape.c, taps / classes, classes, aligned, false});
  with_core<arithmetic, vector>(plan.tile, aligned, [&]<class Core, int Vector>() {
    launch_product<Core, Vector>(device, pixels, shape.c, classes, Range{0, taps}, a, b, result);
  });
}

/// `channels`: which of x's are real.
template <Arithmetic arithmetic, class T>
void wgrad(Cuda device, const Conv2dShape& shape, const T* x, const T* dy, Wide<T>* dw, Accumulate accumulate,
           Channels channels = {}) {
  if (has_few_channels(shape)) {
    const auto wide_x = widened_images(device, shape, x);
    return wgrad<arithmetic>(device, widened(shape), wide_x.data(), dy, dw, accumulate,
                             Channels{stem_channels, shape.c});
  }
  constexpr int vector = 16 / sizeof(T);
  const int pixels = shape.n * shape.out_h() * shape.out_w(), taps = shape.r * shape.s * shape.c;
  const int columns = taps / channels.computed * channels.kept;
  const bool aligned =
      shape.c % vector == 0 && shape.k % vector == 0 && on_boundary(x, vector) && on_boundary(dy, vector);
  const Matrix<T, false> a{dy, shape.k, 0, shape.k, pixels};
  const Patches<T> b{x, shape, Divisor(shape.out_w()), Divisor(shape.out_h() * shape.out_w())};
  const MatrixResult<Wide<T>> result{
      dw, columns, 0, shape.k, columns, columns % 4 == 0 && on_boundary(dw, 4), accumulating(dw, accumulate)};
  const Plan plan = gemm::plan(arithmetic, {shape.k, taps, pixels, 1, aligned, true});
  const auto run = [&]<class Core, int Vector>() {
    if (plan.splits > 1 || columns < taps)
      return launch_split<Core, Vector>(device, plan, pixels, a, b, result, channels);
    launch_product<Core, Vector>(device, shape.k, taps, 1, Range{0, pixels}, a, b, result);
  };
  if (shape.k % stem_channels == 0 && takes_stem_copies<T>(shape.c, x, dy))
    with_core<arithmetic, vector, stem_channels>(plan.tile, aligned, run);
  else
    with_core<arithmetic, vector>(plan.tile, aligned, run);
}

}  // namespace gemm

template <class T>
void conv2d_forward(Cuda device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                    const ConvEpilogue<T>& epilogue) {
  gemm::check_extents(shape);
  gemm::with_arithmetic<T>(device, [&]<gemm::Arithmetic arithmetic>() {
    gemm::forward<arithmetic>(device, shape, x, w.kernel, y,
                              {epilogue.scale, epilogue.bias, epilogue.residual, epilogue.relu});
  });
}

template <class T>
void conv2d_forward_measured(Cuda device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                             const BatchNormMeasure<T>& measure) {
  gemm::check_extents(shape);
  gemm::with_arithmetic<T>(device, [&]<gemm::Arithmetic arithmetic>() {
    gemm::forward_measured<arithmetic>(device, shape, x, w.kernel, y, measure);
  });
}

template <class T>
void conv2d_dgrad(Cuda device, const Conv2dShape& shape, const T* dy, const Weights<T>& w, T* dx,
                  Accumulate accumulate) {
  gemm::check_extents(shape);
  gemm::with_arithmetic<T>(device, [&]<gemm::Arithmetic arithmetic>() {
    gemm::dgrad<arithmetic>(device, shape, dy, w.kernel, dx, accumulate);
  });
}

template <class T>
void conv2d_wgrad(Cuda device, const Conv2dShape& shape, const T* x, const T* dy, Wide<T>* dw, Accumulate accumulate) {
  gemm::check_extents(shape);
  gemm::with_arithmetic<T>(
      device, [&]<gemm::Arithmetic arithmetic>() { gemm::wgrad<arithmetic>(device, shape, x, dy, dw, accumulate); });
}

}  // namespace kagami
