#pragma once
// Convolutions on the main loop of gemm.cuh. conv2d*.cu instantiate them, one type each.
#include "kernels/conv2d.h"
#include "kernels/cuda/conv_operands.cuh"
#include "kernels/cuda/gemm_tiles.cuh"

namespace kagami {
namespace gemm {

template <Arithmetic arithmetic, class T>
void forward(Cuda device, const Conv2dShape& shape, const T* x, const T* w, T* y, const Wide<T>* bias) {
  constexpr int vector = 16 / sizeof(T);
  const int pixels = shape.n * shape.out_h() * shape.out_w(), taps = shape.r * shape.s * shape.c;
  const bool aligned = shape.c % vector == 0 && on_boundary(x, vector) && on_boundary(w, vector);
  const Pixels<T> a{x, shape.n, shape.h, shape.w, shape.c, forward_window(shape)};
  const Matrix<T, true> b{w, taps, 0, shape.k, taps};
  const MatrixResult<T> result{y, shape.k, 0, pixels, shape.k, bias, false, shape.k % 4 == 0 && on_boundary(y, 4)};
  const Plan plan = gemm::plan(arithmetic, {pixels, shape.k, taps, 1, aligned, false});
  with_core<arithmetic, vector>(plan.tile, aligned, [&]<class Core, int Vector>() {
    launch_product<Core, Vector>(device, pixels, shape.k, 1, Range{0, taps}, a, b, result);
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
      dx, shape, shape.c, accumulate == Accumulate::yes, shape.c % 4 == 0 && on_boundary(dx, 4), nullptr, 0, 0, 0, 0};
  const Plan plan = gemm::plan(arithmetic, {pixels, shape.c, taps / classes, classes, aligned, false});
  with_core<arithmetic, vector>(plan.tile, aligned, [&]<class Core, int Vector>() {
    launch_product<Core, Vector>(device, pixels, shape.c, classes, Range{0, taps}, a, b, result);
  });
}

template <Arithmetic arithmetic, class T>
void wgrad(Cuda device, const Conv2dShape& shape, const T* x, const T* dy, Wide<T>* dw, Accumulate accumulate) {
  constexpr int vector = 16 / sizeof(T);
  const int pixels = shape.n * shape.out_h() * shape.out_w(), taps = shape.r * shape.s * shape.c;
  const bool aligned =
      shape.c % vector == 0 && shape.k % vector == 0 && on_boundary(x, vector) && on_boundary(dy, vector);
  const Matrix<T, false> a{dy, shape.k, 0, shape.k, pixels};
  const Patches<T> b{x, shape, Divisor(shape.out_w()), Divisor(shape.out_h() * shape.out_w())};
  const MatrixResult<Wide<T>> result{
      dw, taps, 0, shape.k, taps, nullptr, accumulate == Accumulate::yes, taps % 4 == 0 && on_boundary(dw, 4)};
  const Plan plan = gemm::plan(arithmetic, {shape.k, taps, pixels, 1, aligned, true});
  with_core<arithmetic, vector>(plan.tile, aligned, [&]<class Core, int Vector>() {
    if (plan.splits > 1) return launch_split<Core, Vector>(device, plan, pixels, a, b, result);
    launch_product<Core, Vector>(device, shape.k, taps, 1, Range{0, pixels}, a, b, result);
  });
}

}  // namespace gemm

template <class T>
void conv2d_forward(Cuda device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                    const ConvEpilogue<T>& epilogue) {
  gemm::with_arithmetic<T>(device, [&]<gemm::Arithmetic arithmetic>() {
    gemm::forward<arithmetic>(device, shape, x, w.kernel, y, epilogue.bias);
  });
}

template <class T>
void conv2d_dgrad(Cuda device, const Conv2dShape& shape, const T* dy, const Weights<T>& w, T* dx,
                  Accumulate accumulate) {
  gemm::with_arithmetic<T>(device, [&]<gemm::Arithmetic arithmetic>() {
    gemm::dgrad<arithmetic>(device, shape, dy, w.kernel, dx, accumulate);
  });
}

template <class T>
void conv2d_wgrad(Cuda device, const Conv2dShape& shape, const T* x, const T* dy, Wide<T>* dw, Accumulate accumulate) {
  gemm::with_arithmetic<T>(
      device, [&]<gemm::Arithmetic arithmetic>() { gemm::wgrad<arithmetic>(device, shape, x, dy, dw, accumulate); });
}

}  // namespace kagami
