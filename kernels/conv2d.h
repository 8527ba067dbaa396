#pragma once
// Two-dimensional convolution (cross-correlation, as in every network): y[n,p,q,k] = bias[k] +
// sum over r,s,c of x[n, p stride + r - pad, q stride + s - pad, c] w[k,r,s,c]. Activations are NHWC, weights KRSC.
#include "kernels/batch_norm.h"
#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// x: [n,h,w,c], w: [k,r,s,c], y: [n,out_h,out_w,k]; all contiguous. Rows and columns outside x are zero.
struct Conv2dShape {
  int n, h, w, c, k, r, s, stride, pad;
  int out_h() const { return (h + 2 * pad - r) / stride + 1; }
  int out_w() const { return (w + 2 * pad - s) / stride + 1; }
  bool operator==(const Conv2dShape&) const = default;
};

/// The weights [k,r,s,c]. `flipped`: a copy [c,r,s,k] for a data gradient that wants one; null is always allowed.
template <class T>
struct Weights {
  const T* kernel;
  const T* flipped = nullptr;
};

/// What is done to y before it is stored: y scale + bias + residual, then ReLU.
template <class T>
struct ConvEpilogue {
  const Wide<T>* bias = nullptr;   ///< [k], or null
  const Wide<T>* scale = nullptr;  ///< [k], or null
  const T* residual = nullptr;     ///< as y, or null
  bool relu = false;
};

template <class T>
void conv2d_forward(Cpu device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                    const ConvEpilogue<T>& epilogue = {});
/// Also measures y's rows [pixels, k] for a batch norm (on CUDA while it stores them).
template <class T>
void conv2d_forward_measured(Cpu device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                             const BatchNormMeasure<T>& measure) {
  conv2d_forward(device, shape, x, w, y);
  batch_norm_measure(device, measure, static_cast<const T*>(y));
}
/// dx[n,h,w,c]: the gradient of x given that of y.
template <class T>
void conv2d_dgrad(Cpu device, const Conv2dShape& shape, const T* dy, const Weights<T>& w, T* dx, Accumulate accumulate);
/// dw[k,r,s,c]: the gradient of the weights given that of y.
template <class T>
void conv2d_wgrad(Cpu device, const Conv2dShape& shape, const T* x, const T* dy, Wide<T>* dw, Accumulate accumulate);

#if KAGAMI_HAS_CUDA
template <class T>
void conv2d_forward(Cuda device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                    const ConvEpilogue<T>& epilogue = {});
template <class T>
void conv2d_forward_measured(Cuda device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                             const BatchNormMeasure<T>& measure);
template <class T>
void conv2d_dgrad(Cuda device, const Conv2dShape& shape, const T* dy, const Weights<T>& w, T* dx,
                  Accumulate accumulate);
template <class T>
void conv2d_wgrad(Cuda device, const Conv2dShape& shape, const T* x, const T* dy, Wide<T>* dw, Accumulate accumulate);
#endif

}  // namespace kagami
