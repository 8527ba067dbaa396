#pragma once
// Every op of the engine: values here, gradients in engine/ops/<op>.cu. Shapes broadcast where two tensors meet.
#include "engine/autograd.h"
#include "engine/tensor.h"

namespace kagami {

// Arithmetic.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor add_scalar(const Tensor& x, double term);
Tensor neg(const Tensor& x);

// Elementary functions.
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);  ///< natural
Tensor sqrt(const Tensor& x);
Tensor pow(const Tensor& x, double exponent);
Tensor abs(const Tensor& x);  ///< gradient 0 at 0

// Activations.
Tensor relu(const Tensor& x);  ///< gradient 0 at 0
Tensor gelu(const Tensor& x);  ///< x Phi(x), exact (erf); Hendrycks and Gimpel 2016
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);

// Choosing values.
/// x kept within [low, high]; the gradient passes where low <= x <= high.
Tensor clamp(const Tensor& x, double low, double high);
/// a where `mask` is not 0, else b. The mask may be of any type and takes no gradient.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);

}  // namespace kagami
