#pragma once
// Batch norm on one piece of rows: what kernels/cpu/isa/batch_norm.cpp compiles for each instruction set.
#include "kernels/batch_norm.h"

namespace kagami::cpu {

/// How a backward pass knows where ReLU cut.
enum class ReluMask { none, from_output, from_input };

/// One piece of rows of one group: `rows` rows of `channels` from each pointer; per-channel arrays are the group's.
template <class T>
struct BatchNormPiece {
  std::int64_t rows;
  int channels;
  const T *dy, *x, *y;
  const T *mean, *scale, *shift;
};

/// A group's BatchNormGradient, by channel.
template <class T>
struct BatchNormCoefficients {
  const T *a, *b, *c, *rest;
};

template <class T>
struct BatchNormKernels {
  /// mean + mean_rest and m2 = sum (x - mean)^2 of the piece, in two passes.
  void (*moments)(const T* x, std::int64_t rows, int channels, T* mean, T* mean_rest, T* m2);
  void (*apply)(const BatchNormPiece<T>& piece, const T* residual, bool relu, T* y);
  /// sum g = sum_g + sum_g_rest, and sum g (x - mean).
  void (*reduce)(const BatchNormPiece<T>& piece, ReluMask mask, T* sum_g, T* sum_g_rest, T* sum_gx);
  /// dx (see BatchNormGradient), and g itself for the residual.
  void (*gradient)(const BatchNormPiece<T>& piece, ReluMask mask, const BatchNormCoefficients<T>& coefficients,
                   GradientMemory<T> dx, GradientMemory<T> dresidual);
};

namespace baseline {
extern const BatchNormKernels<float> batch_norm_float;
extern const BatchNormKernels<double> batch_norm_double;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const BatchNormKernels<float> batch_norm_float;
extern const BatchNormKernels<double> batch_norm_double;
}  // namespace avx2
namespace avx512 {
extern const BatchNormKernels<float> batch_norm_float;
extern const BatchNormKernels<double> batch_norm_double;
}  // namespace avx512
#endif

}  // namespace kagami::cpu
