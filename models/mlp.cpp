#include "models/mlp.h"

namespace kagami {
namespace {

MlpOptions backbone_options(const std::vector<int>& widths, bool batch_norm) {
  const NormKind norm = batch_norm ? NormKind::affine : NormKind::none;
  return {.widths = widths,
          .hidden_norm = norm,
          .hidden_bias = !batch_norm,
          .output_norm = norm,
          .output_bias = !batch_norm,
          .output_relu = true};
}

}  // namespace

Mlp::Mlp(const Scope& scope, const MlpOptions& options) {
  check(options.widths.size() >= 2, "mlp: needs at least the widths of input and output, got ", options.widths.size());
  for (const int width : options.widths) check(width >= 1, "mlp: a layer of width ", width);
  outputs_ = options.widths.back();
  int position = 0;  // in the sequence of modules, activations counted
  const auto next = [&] { return scope.child(std::to_string(position++)); };
  for (std::size_t i = 0; i + 1 < options.widths.size(); ++i) {
    const bool last = i + 2 == options.widths.size();
    const NormKind kind = last ? options.output_norm : options.hidden_norm;
    const int outputs = options.widths[i + 1];
    Linear linear(next(), options.widths[i], outputs, last ? options.output_bias : options.hidden_bias);
    std::optional<BatchNorm> norm;
    if (kind != NormKind::none) norm.emplace(next(), outputs, kind);
    const bool relu = !last || options.output_relu;
    if (relu) ++position;
    layers_.push_back({linear, norm, relu});
  }
}

Tensor Mlp::forward(const Tensor& x, const BatchNormOptions& norm) const {
  Tensor y = x;
  for (const Layer& layer : layers_) {
    y = layer.linear.forward(y, layer.relu && !layer.norm);
    if (!layer.norm) continue;
    y = layer.norm->forward(y, norm);
    if (layer.relu) y = relu(y);
  }
  return y;
}

MlpBackbone::MlpBackbone(const Scope& scope, const std::vector<int>& widths, bool batch_norm)
    : inputs_(widths.empty() ? 0 : widths.front()), mlp_(scope, backbone_options(widths, batch_norm)) {}

Tensor MlpBackbone::forward(const Tensor& images, const BatchNormOptions& norm) const {
  check(images.rank() >= 2 && images.numel() == images.shape(0) * inputs_, "mlp: expects ", inputs_,
        " values an image, not ", describe(images));
  return mlp_.forward(images.view({images.shape(0), inputs_}), norm);
}

}  // namespace kagami
