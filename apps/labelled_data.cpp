#include "apps/labelled_data.h"

namespace kagami::apps {
namespace {

template <class Features>
LabelledSplits splits(const Dataset& data, const Features& features) {
  return {{features(data.train), data.train.labels},
          {features(data.test), data.test.labels},
          static_cast<int>(data.class_names.size())};
}

}  // namespace

void check_labels(const Dataset& data, const std::string& command) {
  for (const bool test : {false, true}) data.labelled_split(test, command);
}

LabelledSplits features_of_splits(const Dataset& data, const Encoder& encoder) {
  return splits(
      data, [&](const ImageSet& set) { return features_of(set, encoder.transform, encoder.encode, encoder.device); });
}

LabelledSplits pixels_of_splits(const Dataset& data, const EvaluationTransform& transform) {
  return splits(data, [&](const ImageSet& set) { return pixels_of(set, transform, Device::cpu()); });
}

}  // namespace kagami::apps
