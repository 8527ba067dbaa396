#include "ssl/network.h"

namespace kagami {

BackboneOptions backbone_options(const PretrainConfig& config) {
  return {.arch = config.arch, .stem = config.stem, .width = config.width, .image_size = config.view_policies[0].size};
}

MlpOptions projector_options(const PretrainConfig& config, int features) {
  std::vector<int> widths(static_cast<std::size_t>(config.projector_layers), config.projector_hidden);
  widths.front() = features;
  widths.push_back(config.projector_dim);
  return {.widths = widths,
          .hidden_norm = norm_kind(config.projector_hidden_bn),
          .hidden_bias = config.projector_hidden_bn == "none",
          .output_norm = norm_kind(config.projector_output_bn),
          .output_bias = config.projector_bias};
}

BatchNormOptions training_norm(const PretrainConfig& config) {
  return norm_options(Mode::train, config.bn_views == "per-view" ? 2 : 1);
}

}  // namespace kagami
