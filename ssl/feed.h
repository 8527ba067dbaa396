#pragma once
// Batches of augmented views of an unlabelled set: a function of (seed, epoch, step) alone.
#include <vector>

#include "engine/data/image_set.h"
#include "ssl/config.h"
#include "ssl/method.h"

namespace kagami {

class Feed {
 public:
  /// Keeps a reference to `set`. Throws InputError where it is smaller than a batch.
  Feed(const ImageSet& set, const PretrainConfig& config, Device device);
  std::int64_t steps_per_epoch() const { return set_.size() / batch_; }
  /// Images left out of every epoch, others each time: its last incomplete batch.
  std::int64_t dropped_images() const { return set_.size() % batch_; }
  /// Two views of the images whose turn it is in the epoch's random order.
  Views batch(std::int64_t epoch, std::int64_t step);
  /// Two views of the images with these numbers, augmented as in that epoch.
  Views views(const std::int64_t* images, std::int64_t count, std::uint32_t epoch) const;

 private:
  const ImageSet& set_;
  AugmentPolicy policies_[2];
  std::uint64_t seed_;
  std::int64_t batch_;
  Device device_;
  std::vector<std::int64_t> order_;  // of epoch order_epoch_
  std::int64_t order_epoch_ = -1;
};

}  // namespace kagami
