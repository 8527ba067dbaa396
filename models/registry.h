#pragma once
// Encoders by name.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/resnet.h"

namespace kagami {

struct BackboneOptions {
  std::string arch = "resnet18";
  std::string stem = "cifar";  ///< imagenet | cifar | cifar-s2; a ResNet's
  int width = 0;               ///< channels of the first stage, or of an MLP's layers; 0: the architecture's own
  int image_size = 32;         ///< height and width of the images, which an MLP must know
  bool zero_init_last_gamma = true;
};

/// Declares the parameters of the encoder `options.arch` in `scope`. Throws InputError that suggests the nearest name
/// for an unknown one.
std::unique_ptr<Backbone> make_backbone(const Scope& scope, const BackboneOptions& options);
/// resnet8, resnet14, ..., mlp: what make_backbone knows.
std::vector<std::string> backbone_names();

}  // namespace kagami
