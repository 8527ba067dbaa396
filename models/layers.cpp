#include "models/layers.h"

#include "engine/suggest.h"

namespace kagami {
namespace {

Shape kernel_shape(const ConvNorm::Sizes& s) { return {s.outputs, s.kernel, s.kernel, s.inputs}; }

}  // namespace

BatchNormOptions norm_options(Mode mode, int groups, RunningUpdate update) {
  BatchNormOptions options;
  options.training = mode == Mode::train;
  options.groups = groups;
  options.update = update;
  return options;
}

NormKind norm_kind(std::string_view name) {
  if (name == "none") return NormKind::none;
  if (name == "fixed") return NormKind::fixed;
  if (name == "scale") return NormKind::scale;
  if (name == "affine") return NormKind::affine;
  throw InputError(
      text("unknown kind of batch norm '", name, '\'', did_you_mean(name, {"none", "fixed", "scale", "affine"})));
}

BatchNorm::BatchNorm(const Scope& scope, int channels, NormKind kind, const Init& gamma_init)
    : gamma(kind == NormKind::fixed ? nullptr : &scope.parameter("weight", {channels}, gamma_init)),
      beta(kind == NormKind::affine ? &scope.parameter("bias", {channels}, Init::zeros()) : nullptr),
      running_mean(scope.buffer("running_mean", {channels}, Init::zeros())),
      running_var(scope.buffer("running_var", {channels}, Init::ones())) {
  check(kind != NormKind::none, "batch norm: a layer of kind none has no batch norm; leave it out");
}

Tensor BatchNorm::forward(const Tensor& x, const BatchNormOptions& options) const {
  return batch_norm(x, gamma_or_empty(), beta_or_empty(), running_mean, running_var, options);
}

ConvNorm::ConvNorm(const Scope& convolution, const Scope& normalization, Sizes s, const Init& gamma_init)
    : sizes(s),
      weight(convolution.weight("weight", kernel_shape(s), Init::kaiming_normal_fan_out(kernel_shape(s)))),
      norm(normalization, s.outputs, NormKind::affine, gamma_init) {}

Tensor ConvNorm::forward(const Tensor& x, const BatchNormOptions& options, bool relu, const Tensor& residual) const {
  return conv_bn_act(x, weight, norm.gamma_or_empty(), norm.beta_or_empty(), norm.running_mean, norm.running_var,
                     sizes.stride, sizes.kernel / 2, options, relu, residual);
}

}  // namespace kagami
