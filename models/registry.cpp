#include "models/registry.h"

#include <functional>

#include "engine/suggest.h"
#include "models/mlp.h"

namespace kagami {
namespace {

struct Entry {
  std::string name;
  std::function<std::unique_ptr<Backbone>(const Scope&, const BackboneOptions&)> make;
};

Entry resnet(int depth) {
  return {"resnet" + std::to_string(depth), [depth](const Scope& scope, const BackboneOptions& given) {
            ResNetOptions options = resnet_options(depth);
            options.stem = stem_of(given.stem);
            options.zero_init_last_gamma = given.zero_init_last_gamma;
            if (given.width > 0) options.width = given.width;
            return std::make_unique<ResNet>(scope, options);
          }};
}

Entry mlp() {
  return {"mlp", [](const Scope& scope, const BackboneOptions& given) {
            const int width = given.width > 0 ? given.width : 512;
            return std::make_unique<MlpBackbone>(
                scope, std::vector<int>{given.image_size * given.image_size * 3, width, width});
          }};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{resnet(8),  resnet(14), resnet(20),  resnet(18),
                                      resnet(34), resnet(50), resnet(101), mlp()};
  return all;
}

}  // namespace

std::unique_ptr<Backbone> make_backbone(const Scope& scope, const BackboneOptions& options) {
  for (const Entry& entry : entries())
    if (entry.name == options.arch) return entry.make(scope, options);
  throw InputError(text("unknown architecture '", options.arch, '\'', did_you_mean(options.arch, backbone_names())));
}

std::vector<std::string> backbone_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.push_back(entry.name);
  return names;
}

}  // namespace kagami
