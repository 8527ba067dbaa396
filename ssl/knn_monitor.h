#pragma once
// kNN accuracy of an encoder while it trains.
#include "engine/data/image_set.h"
#include "ssl/config.h"
#include "ssl/features.h"

namespace kagami {

/// A bank of training images and the test images that are asked, chosen once.
class KnnMonitor {
 public:
  /// Needs labels on both splits: see obstacle(). Where the bank is smaller than k, all of it votes.
  KnnMonitor(const Dataset& data, const PretrainConfig& config, Device device);
  /// What the data lacks, and what gives it; empty where nothing is missing.
  static std::string obstacle(const Dataset& data);
  /// Accuracy in [0, 1] of features from `encode`.
  double accuracy(const Encode& encode) const;

 private:
  ImageSet bank_, queries_;
  EvaluationTransform transform_;
  KnnOptions options_;
  int classes_;
  Device device_;
};

}  // namespace kagami
