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
};

/// Which of a node's inputs are gamma, beta and the residual.
struct NormInputs {
  int gamma, beta, residual;
};

/// Throws, naming the op, when the tensors do not fit x [..., channels] or a channel has a single value in training.
BatchNormShape norm_shape(std::string_view op, const Tensor& x, const NormTensors& tensors,
                          const BatchNormOptions& options);
/// y = batch norm of x (+ residual) (ReLU). y may be x.
NormResult normalize(std::string_view op, const BatchNormShape& shape, const Tensor& x, const NormTensors& tensors,
                     const BatchNormOptions& options, const Tensor& residual, bool relu, const Tensor& y);
/// Adds the gradients of gamma, beta and the residual and writes that of x to `dx` (empty: not wanted), which may be x
/// itself. `y` is the output if ReLU's cut is read from it (there was a residual), else empty.
void normalize_gradients(std::string_view op, const NormResult& result, const Tensor& x, const Tensor& y,
                         const Tensor& gamma, bool relu, const Tensor& dy, const NormInputs& inputs, const Tensor& dx,
                         Accumulate dx_accumulate, Gradients& d);

}  // namespace kagami::detail
