#include "engine/dispatch.h"
#include "engine/ops.h"
#include "engine/ops/normalization.h"

namespace kagami {
namespace detail {
namespace {

template <class T>
GradientMemory<T> memory_of(int input, bool wanted, Gradients& d) {
  if (!wanted || !d.wants(input)) return {};
  const auto [tensor, accumulate] = d.target(input);
  return {tensor.template data<T>(), accumulate};
}

}  // namespace

BatchNormShape norm_shape(std::string_view op, const Tensor& x, const NormTensors& tensors,
                          const BatchNormOptions& options) {
  check(bool(x) && x.rank() >= 2 && x.numel() > 0, op, ": x must be [rows, channels] or [n,h,w,channels], not ",
        describe(x));
  const std::int64_t channels = x.shape(-1);
  for (const Tensor* t : {&tensors.gamma, &tensors.beta, &tensors.running_mean, &tensors.running_var})
    check(!*t || (t->shape() == Shape{channels} && t->dtype() == wide_of(x.dtype()) && t->device() == x.device()), op,
          ": x has ", channels, " channels (x: ", describe(x), ") but a parameter or running statistic is ",
          describe(*t));
  check(bool(tensors.running_mean) == bool(tensors.running_var), op,
        ": give both running_mean and running_var, or neither");
  check(options.training || bool(tensors.running_mean), op, ": evaluation needs running statistics");
  check(options.groups >= 1 && (!options.training || x.shape(0) % options.groups == 0), op, ": x (", describe(x),
        ") does not split into ", options.groups, " groups of equal rows");
  const BatchNormShape shape{x.numel() / channels, static_cast<int>(channels), options.training ? options.groups : 1};
  check(!options.training || shape.group_rows() > 1, op,
        ": needs more than one value per channel and group in training (x: ", describe(x), ", groups: ", options.groups,
        "); use larger batches");
  return shape;
}

NormResult norm_result(const BatchNormShape& shape, const Tensor& x, const BatchNormOptions& options) {
  return {
      shape, Tensor::empty({5, shape.groups, shape.channels}, wide_of(x.dtype()), x.device()), options.training, {}};
}

void normalize_gradients(std::string_view op, const NormResult& result, const Tensor& x, const Tensor& y,
                         const Tensor& gamma, bool relu, const Tensor& dy, const NormInputs& inputs, const Tensor& dx,
                         Accumulate dx_accumulate, Gradients& d) {
  const bool residual = inputs.residual >= 0 && d.wants(inputs.residual);
  // The residual's gradient is dy where ReLU did not cut: written over dy where nobody else reads it, then handed on.
  const bool in_place = residual && relu && dy.solely_owned();
  dispatch(op, dy, [&](auto device, auto zero) {
    using T = decltype(zero);
    BatchNormBackward<T> gradient{dy.data<T>(), x.data<T>(), data_or_null<T>(y), relu, result.batch_statistics, {}, {},
                                  {},           {}};
    gradient.mask = data_or_null<std::uint8_t>(result.mask);
    gradient.dx = {data_or_null<T>(dx), dx_accumulate};
    gradient.dresidual =
        in_place ? GradientMemory<T>{dy.data<T>()} : memory_of<T>(inputs.residual, residual && relu, d);
    gradient.dgamma = memory_of<Wide<T>>(inputs.gamma, true, d);
    gradient.dbeta = memory_of<Wide<T>>(inputs.beta, true, d);
    batch_norm_backward(device, result.shape, data_or_null<Wide<T>>(gamma), saved_of<T>(result), gradient);
  });
  if (in_place || (residual && !relu)) d.add(inputs.residual, dy);
}

}  // namespace detail

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options) {
  constexpr const char* op = "batch_norm";
  const detail::NormTensors tensors{gamma, beta, running_mean, running_var};
  const BatchNormShape shape = detail::norm_shape(op, x, tensors, options);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const detail::NormResult result = detail::norm_result(shape, x, options);
  dispatch(op, x, [&](auto device, auto zero) {
    using T = decltype(zero);
    const BatchNormSaved<T> saved = detail::saved_of<T>(result);
    if (options.training)
      batch_norm_measure(device, detail::measure_of<T>(result, tensors, options), x.data<T>());
    else
      batch_norm_from_running(device, shape.channels, detail::parameters_of<T>(tensors), options.eps, saved);
    batch_norm_apply(device, shape, x.data<T>(), saved, static_cast<const T*>(nullptr), false, y.data<T>());
  });
  if (!recording({x, gamma, beta})) return y;
  return record(
      op, {x, gamma, beta}, y,
      [result, x = x.detach(), gamma = gamma ? gamma.detach() : Tensor()](const Tensor& dy, Gradients& d) {
        Gradients::Target dx{{}, Accumulate::no};
        if (d.wants(0)) dx = d.target(0);
        detail::normalize_gradients(op, result, x, {}, gamma, false, dy, {1, 2, -1}, dx.tensor, dx.accumulate, d);
      });
}

}  // namespace kagami
