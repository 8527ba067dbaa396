#pragma once
// Residual networks (He et al. 2016) with torchvision's parameter names, without the classifier: h is the global
// average of the last stage.
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "models/backbone.h"
#include "models/layers.h"

namespace kagami {

/// imagenet: 7x7 stride 2, then 3x3 max pool stride 2. cifar: 3x3. cifar_s2: 3x3 stride 2. The last two do not pool.
enum class Stem : std::uint8_t { imagenet, cifar, cifar_s2 };
/// "imagenet", "cifar", "cifar-s2"; throws InputError that suggests the nearest name.
Stem stem_of(std::string_view name);

struct ResNetOptions {
  std::vector<int> blocks;  ///< of each stage; every stage after the first halves the image and doubles the width
  bool bottleneck = false;  ///< 1x1, 3x3, 1x1 blocks with four times the width at their end
  int width = 64;           ///< channels of the first stage
  Stem stem = Stem::imagenet;
  bool zero_init_last_gamma = true;  ///< every block starts as the identity (Goyal et al. 2017)
};

/// Basic: 3x3, 3x3. Bottleneck: 1x1, 3x3 with the stride (as torchvision), 1x1.
class ResidualBlock {
 public:
  struct Sizes {
    int inputs, width, outputs, stride;
  };
  ResidualBlock(const Scope& scope, const ResNetOptions& options, Sizes sizes);
  Tensor forward(const Tensor& x, const BatchNormOptions& norm) const;

 private:
  ConvNorm first_, second_;
  std::optional<ConvNorm> third_, downsample_;
};

class ResNet : public Backbone {
 public:
  ResNet(const Scope& scope, const ResNetOptions& options);
  Tensor forward(const Tensor& images, const BatchNormOptions& norm) const override;
  int features() const override { return features_; }

  Tensor stem(const Tensor& images, const BatchNormOptions& norm) const;
  /// Stage `number` (0: torchvision's layer1) of what the stage before it gave.
  Tensor stage(int number, const Tensor& x, const BatchNormOptions& norm) const;
  int stages() const { return static_cast<int>(stages_.size()); }

 private:
  bool pools_;
  ConvNorm stem_;
  std::vector<std::vector<ResidualBlock>> stages_;
  int features_;
};

/// Depth 18, 34, 50 or 101: four stages of width 64. 8, 14 or 20: three stages of (depth - 2) / 6 basic blocks of width
/// 16 (CIFAR). Throws InputError for another depth.
ResNetOptions resnet_options(int depth);

}  // namespace kagami
