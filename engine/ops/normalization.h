#pragma once
// What batch_norm and conv_bn_act share. For engine/ops only.
#include <string_view>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/batch_norm.h"

namespace kagami::detail {

/// The tensors of one batch norm: each [channels] or empty.
struct NormTensors {
  Tensor gamma, beta, running_mean, running_var;
};

/// A batch norm whose forward pass is done: what its gradient needs.
struct NormResult {
  BatchNormShape shape;
  Tensor saved;  // [5, groups, channels]: the fields of BatchNormSaved
  bool batch_statistics;
  Tensor mask;  // where ReLU let values through, for devices that keep it (batch_norm_mask_bytes), or empty
};

template <class T>
T* data_or_null(const Tensor& t) {
  return t ? t.data<T>() : nullptr;
}
template <class T>
BatchNormParameters<T> parameters_of(const NormTensors& tensors) {
  return {data_or_null<Wide<T>>(tensors.gamma), data_or_null<Wide<T>>(tensors.beta),
          data_or_null<Wide<T>>(tensors.running_mean), data_or_null<Wide<T>>(tensors.running_var)};
}
template <class T>
BatchNormSaved<T> saved_of(const NormResult& result) {
  Wide<T>* data = result.saved.data<Wide<T>>();
  const std::int64_t size = result.saved.numel() / 5;
  return {data, data + size, data + 2 * size, data + 3 * size, data + 4 * size};
}
template <class T>
BatchNormMeasure<T> measure_of(const NormResult& result, const NormTensors& tensors, const BatchNormOptions& options) {
  return {result.shape, parameters_of<T>(tensors), options.eps, options.momentum, options.update, saved_of<T>(result)};
}

/// Which of a node's inputs are gamma, beta and the residual.
struct NormInputs {
  int gamma, beta, residual;
};

/// Throws, naming the op, when the tensors do not fit x [..., channels] or a channel has a single value in training.
BatchNormShape norm_shape(std::string_view op, const Tensor& x, const NormTensors& tensors,
                          const BatchNormOptions& options);
/// With memory for what a forward pass of x will save.
NormResult norm_result(const BatchNormShape& shape, const Tensor& x, const BatchNormOptions& options);
/// Adds the gradients of gamma, beta and the residual and writes that of x to `dx` (empty: not wanted), which may be x
/// itself. `y` is the output if ReLU's cut is read from it (there was a residual and no mask), else empty.
void normalize_gradients(std::string_view op, const NormResult& result, const Tensor& x, const Tensor& y,
                         const Tensor& gamma, bool relu, const Tensor& dy, const NormInputs& inputs, const Tensor& dx,
                         Accumulate dx_accumulate, Gradients& d);

}  // namespace kagami::detail
