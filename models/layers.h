#pragma once
// The layers that networks are made of: plain structs whose constructor declares parameters through a Scope.
#include <string_view>

#include "engine/module.h"
#include "engine/ops.h"

namespace kagami {

/// How the batch norms of a network run in one forward pass. `groups`: equal parts of the rows with statistics of their
/// own, one per view say.
BatchNormOptions norm_options(Mode mode, int groups = 1, RunningUpdate update = RunningUpdate::in_order);

/// Whether a batch norm is there, and which of gamma (scale) and beta it learns.
enum class NormKind : std::uint8_t { none, fixed, scale, affine };
/// "none", "fixed", "scale", "affine"; throws InputError on anything else.
NormKind norm_kind(std::string_view name);

/// torchvision's names: weight, bias, running_mean, running_var.
struct BatchNorm {
  BatchNorm(const Scope& scope, int channels, NormKind kind = NormKind::affine, const Init& gamma_init = Init::ones());
  Tensor forward(const Tensor& x, const BatchNormOptions& options) const;
  Tensor gamma_or_empty() const { return gamma ? *gamma : Tensor(); }
  Tensor beta_or_empty() const { return beta ? *beta : Tensor(); }
  Tensor* gamma;  ///< null without
  Tensor* beta;   ///< null without
  Tensor& running_mean;
  Tensor& running_var;
};

/// Convolution without bias, padded by kernel / 2, and its batch norm, run as one op. They are scopes of their own:
/// torchvision names them conv1 and bn1, or downsample.0 and downsample.1.
struct ConvNorm {
  struct Sizes {
    int inputs, outputs, kernel, stride;
  };
  ConvNorm(const Scope& convolution, const Scope& normalization, Sizes sizes, const Init& gamma_init = Init::ones());
  /// act(bn(conv(x)) + residual)
  Tensor forward(const Tensor& x, const BatchNormOptions& options, bool relu = true, const Tensor& residual = {}) const;
  Sizes sizes;
  Weight& weight;
  BatchNorm norm;
};

}  // namespace kagami
