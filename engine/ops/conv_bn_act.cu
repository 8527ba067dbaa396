#include "engine/ops.h"
#include "engine/ops/convolution.h"
#include "engine/ops/normalization.h"

namespace kagami {

Tensor conv_bn_act(const Tensor& input, const Weight& weight, const Tensor& gamma, const Tensor& beta,
                   const Tensor& running_mean, const Tensor& running_var, int stride, int pad,
                   const BatchNormOptions& options, bool relu, const Tensor& residual) {
  constexpr const char* op = "conv_bn_act";
  const detail::Operands operands = detail::operands_of(op, input, weight);
  const Tensor& x = operands.x;
  const Weight& w = operands.w;
  const Conv2dShape conv = detail::convolution_shape(op, x, w, stride, pad);
  const Tensor z = detail::convolve(op, conv, x, w, {});
  const detail::NormTensors tensors{gamma, beta, running_mean, running_var};
  const BatchNormShape shape = detail::norm_shape(op, z, tensors, options);
  check(!residual || (residual.shape() == z.shape() && residual.dtype() == z.dtype()), op, ": the residual is ",
        describe(residual), " but the convolution gives ", describe(z));
  const std::vector<Tensor> inputs{x, w.master, gamma, beta, residual};
  const bool records = recording(inputs);
  const Tensor y = records ? Tensor::empty(z.shape(), z.dtype(), z.device()) : z;
  const detail::NormResult result = detail::normalize(op, shape, z, tensors, options, residual, relu, y);
  if (!records) return y;
  return record(
      op, inputs, y,
      [conv, result, relu, x = x.detach(), w = detail::detached(w), z, gamma = gamma ? gamma.detach() : Tensor(),
       y = residual && relu ? y.detach() : Tensor()](const Tensor& dy, Gradients& d) {
        // Nobody reads the convolution's output after its gradient is there: dz takes its memory.
        const Tensor dz = d.wants(0) || d.wants(1) ? z : Tensor();
        detail::normalize_gradients(op, result, z, y, gamma, relu, dy, {2, 3, 4}, dz, Accumulate::no, d);
        if (dz) detail::convolution_gradients(op, conv, x, w, dz, d);
      });
}

}  // namespace kagami
