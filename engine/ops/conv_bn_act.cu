#include "engine/dispatch.h"
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
  const Tensor z = detail::convolution_output(conv, x);
  const detail::NormTensors tensors{gamma, beta, running_mean, running_var};
  const BatchNormShape shape = detail::norm_shape(op, z, tensors, options);
  check(!residual || (residual.shape() == z.shape() && residual.dtype() == z.dtype()), op, ": the residual is ",
        describe(residual), " but the convolution gives ", describe(z));
  const std::vector<Tensor> inputs{x, w.master, gamma, beta, residual};
  const bool records = recording(inputs);
  // In evaluation nobody needs the convolution's own output: normalisation is a part of it.
  const bool separate = records || options.training;
  const Tensor y = records ? Tensor::empty(z.shape(), z.dtype(), z.device()) : z;
  detail::NormResult result = detail::norm_result(shape, z, options);
  dispatch(op, x, [&](auto device, auto zero) {
    using T = decltype(zero);
    const auto products = detail::arithmetic_of(device, w);
    const Weights<T> weights = detail::weights_of<T>(w);
    const BatchNormSaved<T> saved = detail::saved_of<T>(result);
    const T* added = detail::data_or_null<T>(residual);
    if (options.training) {
      conv2d_forward_measured(products, conv, x.data<T>(), weights, z.data<T>(),
                              detail::measure_of<T>(result, tensors, options));
    } else {
      batch_norm_from_running(device, shape.channels, detail::parameters_of<T>(tensors), options.eps, saved);
      conv2d_forward(products, conv, x.data<T>(), weights, z.data<T>(),
                     separate ? ConvEpilogue<T>{} : ConvEpilogue<T>{saved.shift, saved.scale, added, relu});
    }
    if (!separate) return;
    const std::int64_t mask = records && residual && relu ? batch_norm_mask_bytes(device, shape, added) : 0;
    if (mask > 0) result.mask = Tensor::empty({mask}, DType::u8, z.device());
    batch_norm_apply(device, shape, z.data<T>(), saved, added, relu, y.data<T>(),
                     detail::data_or_null<std::uint8_t>(result.mask));
  });
  if (!records) return y;
  return record(
      op, inputs, y,
      [conv, result, relu, x = x.detach(), w = detail::detached(w), z, gamma = gamma ? gamma.detach() : Tensor(),
       y = residual && relu && !result.mask ? y.detach() : Tensor()](const Tensor& dy, Gradients& d) {
        // Nobody reads the convolution's output after its gradient is there: dz takes its memory.
        const Tensor dz = d.wants(0) || d.wants(1) ? z : Tensor();
        detail::normalize_gradients(op, result, z, y, gamma, relu, dy, {2, 3, 4}, dz, Accumulate::no, d);
        if (dz) detail::convolution_gradients(op, conv, x, w, dz, d);
      });
}

}  // namespace kagami
