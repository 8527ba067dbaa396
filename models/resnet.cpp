#include "models/resnet.h"

#include <string>

#include "engine/suggest.h"

namespace kagami {
namespace {

ConvNorm::Sizes stem_sizes(const ResNetOptions& options) {
  if (options.stem == Stem::imagenet) return {3, options.width, 7, 2};
  return {3, options.width, 3, options.stem == Stem::cifar_s2 ? 2 : 1};
}

ConvNorm numbered(const Scope& scope, int number, ConvNorm::Sizes sizes, bool last_of_block,
                  const ResNetOptions& options) {
  const bool zero = last_of_block && options.zero_init_last_gamma;
  return ConvNorm(scope.child("conv" + std::to_string(number)), scope.child("bn" + std::to_string(number)), sizes,
                  zero ? Init::zeros() : Init::ones());
}

}  // namespace

Stem stem_of(std::string_view name) {
  if (name == "imagenet") return Stem::imagenet;
  if (name == "cifar") return Stem::cifar;
  if (name == "cifar-s2") return Stem::cifar_s2;
  throw InputError(text("unknown stem '", name, '\'', did_you_mean(name, {"imagenet", "cifar", "cifar-s2"})));
}

ResidualBlock::ResidualBlock(const Scope& scope, const ResNetOptions& options, Sizes s)
    : first_(numbered(scope, 1,
                      options.bottleneck ? ConvNorm::Sizes{s.inputs, s.width, 1, 1}
                                         : ConvNorm::Sizes{s.inputs, s.width, 3, s.stride},
                      false, options)),
      second_(
          numbered(scope, 2, {s.width, s.width, 3, options.bottleneck ? s.stride : 1}, !options.bottleneck, options)) {
  if (options.bottleneck) third_.emplace(numbered(scope, 3, {s.width, s.outputs, 1, 1}, true, options));
  if (s.stride == 1 && s.inputs == s.outputs) return;
  const Scope shortcut = scope.child("downsample");
  downsample_.emplace(shortcut.child("0"), shortcut.child("1"), ConvNorm::Sizes{s.inputs, s.outputs, 1, s.stride});
}

Tensor ResidualBlock::forward(const Tensor& x, const BatchNormOptions& norm) const {
  const Tensor shortcut = downsample_ ? downsample_->forward(x, norm, false) : x;
  const Tensor y = first_.forward(x, norm);
  if (!third_) return second_.forward(y, norm, true, shortcut);
  return third_->forward(second_.forward(y, norm), norm, true, shortcut);
}

ResNet::ResNet(const Scope& scope, const ResNetOptions& options)
    : pools_(options.stem == Stem::imagenet),
      stem_(scope.child("conv1"), scope.child("bn1"), stem_sizes(options)),
      features_(0) {
  check(!options.blocks.empty() && options.width >= 1, "resnet: needs at least one stage and one channel");
  int inputs = options.width;
  for (std::size_t i = 0; i < options.blocks.size(); ++i) {
    const Scope layer = scope.child("layer" + std::to_string(i + 1));
    const int width = options.width << i, outputs = options.bottleneck ? 4 * width : width;
    std::vector<ResidualBlock>& stage = stages_.emplace_back();
    for (int block = 0; block < options.blocks[i]; ++block) {
      const int stride = i > 0 && block == 0 ? 2 : 1;
      stage.emplace_back(layer.child(std::to_string(block)), options,
                         ResidualBlock::Sizes{inputs, width, outputs, stride});
      inputs = outputs;
    }
  }
  features_ = inputs;
}

Tensor ResNet::stem(const Tensor& images, const BatchNormOptions& norm) const {
  const Tensor y = stem_.forward(images, norm);
  return pools_ ? max_pool(y, 3, 2, 1) : y;
}

Tensor ResNet::stage(int number, const Tensor& x, const BatchNormOptions& norm) const {
  Tensor y = x;
  for (const ResidualBlock& block : stages_.at(static_cast<std::size_t>(number))) y = block.forward(y, norm);
  return y;
}

Tensor ResNet::forward(const Tensor& images, const BatchNormOptions& norm) const {
  Tensor y = stem(images, norm);
  for (int i = 0; i < stages(); ++i) y = stage(i, y, norm);
  return global_avg_pool(y);
}

ResNetOptions resnet_options(int depth) {
  switch (depth) {
    case 18:
      return {.blocks = {2, 2, 2, 2}};
    case 34:
      return {.blocks = {3, 4, 6, 3}};
    case 50:
      return {.blocks = {3, 4, 6, 3}, .bottleneck = true};
    case 101:
      return {.blocks = {3, 4, 23, 3}, .bottleneck = true};
    case 8:
    case 14:
    case 20:
      return {.blocks = std::vector<int>(3, (depth - 2) / 6), .width = 16, .stem = Stem::cifar};
    default:
      throw InputError(text("resnet: depth ", depth, " is none of 8, 14, 20, 18, 34, 50, 101"));
  }
}

}  // namespace kagami
