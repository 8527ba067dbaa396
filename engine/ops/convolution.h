#pragma once
// What conv2d and conv_bn_act share. For engine/ops only.
#include <string_view>

#include "engine/autograd.h"
#include "engine/ops/weighted.h"
#include "kernels/conv2d.h"

namespace kagami::detail {

/// The sizes of a convolution of x [n,h,w,c] with w [k,r,s,c]; throws, naming the op, when they do not fit.
/// x and w, here and below, are operands_of() the op's inputs.
Conv2dShape convolution_shape(std::string_view op, const Tensor& x, const Weight& w, int stride, int pad);
/// Memory for the output.
Tensor convolution_output(const Conv2dShape& shape, const Tensor& x);
template <class T>
Weights<T> weights_of(const Weight& w) {
  return {w.compute.data<T>(), w.compute_flipped ? w.compute_flipped.data<T>() : nullptr};
}
/// The gradients of inputs 0 (x) and 1 (w.master), where wanted.
void convolution_gradients(std::string_view op, const Conv2dShape& shape, const Tensor& x, const Weight& w,
                           const Tensor& dy, Gradients& d);

}  // namespace kagami::detail
