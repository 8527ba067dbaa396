#pragma once
// Multilayer perceptrons: a backbone on flattened pixels, and what the heads are made of.
#include <optional>
#include <vector>

#include "models/backbone.h"
#include "models/layers.h"

namespace kagami {

struct MlpOptions {
  std::vector<int> widths;  ///< inputs, hidden layers, outputs: at least two
  NormKind hidden_norm = NormKind::affine;
  bool hidden_bias = false;  ///< of the linear layers before the last
  NormKind output_norm = NormKind::none;
  bool output_bias = true;  ///< of the last linear layer
  bool output_relu = false;
};

/// Linear (- BN) - ReLU, ..., Linear (- BN) (- ReLU), with the names of a torch.nn.Sequential: "0.weight",
/// "1.weight"...
class Mlp {
 public:
  Mlp(const Scope& scope, const MlpOptions& options);
  /// [n, inputs] to [n, outputs].
  Tensor forward(const Tensor& x, const BatchNormOptions& norm) const;
  int outputs() const { return outputs_; }

 private:
  struct Layer {
    Linear linear;
    std::optional<BatchNorm> norm;
    bool relu;
  };
  std::vector<Layer> layers_;
  int outputs_;
};

/// An Mlp on all pixels and channels of an image; ReLU comes last.
class MlpBackbone : public Backbone {
 public:
  /// `widths` as in MlpOptions; the first is height * width * 3.
  MlpBackbone(const Scope& scope, const std::vector<int>& widths, bool batch_norm = true);
  Tensor forward(const Tensor& images, const BatchNormOptions& norm) const override;
  int features() const override { return mlp_.outputs(); }

 private:
  int inputs_;
  Mlp mlp_;
};

}  // namespace kagami
