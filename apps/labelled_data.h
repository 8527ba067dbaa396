#pragma once
// What evaluations need of a data set: features and labels of both splits.
#include "apps/encoder.h"
#include "ssl/linear.h"

namespace kagami::apps {

struct LabelledSplits {
  LabelledFeatures train, test;
  int classes = 0;
};

/// Throws InputError, naming the command, where a split or its labels are missing.
void check_labels(const Dataset& data, const std::string& command);
LabelledSplits features_of_splits(const Dataset& data, const Encoder& encoder);
LabelledSplits pixels_of_splits(const Dataset& data, const EvaluationTransform& transform);

}  // namespace kagami::apps
