#pragma once
// Pooling of single pixels: what kernels/cpu/isa/pool.cpp compiles for each instruction set.
#include "kernels/pool.h"

namespace kagami::cpu {

template <class T>
struct PoolKernels {
  /// y[i] = max(y[i], x[i]), winner[i] = tap where x won; for `count` channels.
  void (*keep_maximum)(const T* x, int count, std::uint8_t tap, T* y, std::uint8_t* winner);
  /// dx[i] += dy[i] where winner[i] is the tap.
  void (*add_where)(const T* dy, const std::uint8_t* winner, std::uint8_t tap, int count, T* dx);
  /// y[i] = scale * sum over rows of x[row, i].
  void (*sum_rows)(const T* x, int rows, int count, T scale, T* y);
  /// dx[row, i] = (or +=) scale * dy[i] for every row.
  void (*spread_rows)(const T* dy, int rows, int count, T scale, Accumulate accumulate, T* dx);
};

namespace baseline {
extern const PoolKernels<float> pool_float;
extern const PoolKernels<double> pool_double;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const PoolKernels<float> pool_float;
extern const PoolKernels<double> pool_double;
}  // namespace avx2
namespace avx512 {
extern const PoolKernels<float> pool_float;
extern const PoolKernels<double> pool_double;
}  // namespace avx512
#endif

}  // namespace kagami::cpu
