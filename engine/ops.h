#pragma once
// Every op of the engine: values here, gradients in engine/ops/<op>.cu. Shapes broadcast where two tensors meet.
#include "engine/autograd.h"
#include "engine/tensor.h"

namespace kagami {

Tensor add(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor gelu(const Tensor& x);  ///< x Phi(x), exact (erf); Hendrycks and Gimpel 2016

}  // namespace kagami
