#pragma once
// Pooling of NHWC images.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// x: [n,h,w,c], y: [n,out_h,out_w,c]. Padding never wins a maximum; pad <= kernel / 2, kernel <= 15.
struct PoolShape {
  int n, h, w, c, kernel, stride, pad;
  KAGAMI_HD int out_h() const { return (h + 2 * pad - kernel) / stride + 1; }
  KAGAMI_HD int out_w() const { return (w + 2 * pad - kernel) / stride + 1; }
};

/// y: the maximum of each window; NaN wins. winner: which pixel of the window it was, row first, the first of equals
/// (null leaves it out).
template <class T>
void max_pool_forward(Cpu device, const PoolShape& shape, const T* x, T* y, std::uint8_t* winner);
template <class T>
void max_pool_backward(Cpu device, const PoolShape& shape, const T* dy, const std::uint8_t* winner, T* dx,
                       Accumulate accumulate);

/// y[n,c] = mean of x[n, pixels, c] over the pixels.
template <class T>
void global_avg_pool_forward(Cpu device, int n, int pixels, int c, const T* x, T* y);
template <class T>
void global_avg_pool_backward(Cpu device, int n, int pixels, int c, const T* dy, T* dx, Accumulate accumulate);

#if KAGAMI_HAS_CUDA
template <class T>
void max_pool_forward(Cuda device, const PoolShape& shape, const T* x, T* y, std::uint8_t* winner);
template <class T>
void max_pool_backward(Cuda device, const PoolShape& shape, const T* dy, const std::uint8_t* winner, T* dx,
                       Accumulate accumulate);
template <class T>
void global_avg_pool_forward(Cuda device, int n, int pixels, int c, const T* x, T* y);
template <class T>
void global_avg_pool_backward(Cuda device, int n, int pixels, int c, const T* dy, T* dx, Accumulate accumulate);
#endif

}  // namespace kagami
