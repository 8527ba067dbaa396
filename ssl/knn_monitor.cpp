#include "ssl/knn_monitor.h"

#include <algorithm>

#include "ssl/knn.h"

namespace kagami {
namespace {

ImageSet at_most(const ImageSet& set, std::int64_t count, std::uint64_t seed) {
  return count == 0 || count >= set.size() ? set : random_subset(set, count, seed);
}

}  // namespace

std::string KnnMonitor::obstacle(const Dataset& data) {
  if (!data.train.labelled()) return "the images have no labels (a folder per class would give them)";
  if (data.test.size() == 0) return "the data has no test split (--val-fraction 0.1 holds out a tenth)";
  return data.test.labelled() ? "" : "the test images have no labels";
}

KnnMonitor::KnnMonitor(const Dataset& data, const PretrainConfig& config, Device device)
    : bank_(at_most(data.train, config.knn_bank, config.seed)),
      queries_(at_most(data.test, config.knn_queries, config.seed)),
      transform_(evaluation_transform(config.view_policies[0])),
      options_(config.knn),
      classes_(static_cast<int>(data.class_names.size())),
      device_(device) {
  options_.k = static_cast<int>(std::min<std::int64_t>(options_.k, bank_.size()));
}

double KnnMonitor::accuracy(const Encode& encode) const {
  return knn_accuracy(features_of(bank_, transform_, encode, device_), bank_.labels,
                      features_of(queries_, transform_, encode, device_), queries_.labels, classes_, options_);
}

}  // namespace kagami
