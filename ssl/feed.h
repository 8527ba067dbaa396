#pragma once
// Batches of augmented views of an unlabelled set: a function of (seed, epoch, step) alone. The device makes the views,
// from pixels in its memory.
#include <vector>

#include "engine/data/image_set.h"
#include "engine/step.h"
#include "ssl/config.h"
#include "ssl/device_pixels.h"
#include "ssl/method.h"

namespace kagami {

class Feed {
 public:
  /// Keeps a reference to `set`. Throws InputError where it is smaller than a batch.
  Feed(const ImageSet& set, const PretrainConfig& config, Device device);
  std::int64_t steps_per_epoch() const { return set_.size() / batch_; }
  /// Images left out of every epoch, others each time: its last incomplete batch.
  std::int64_t dropped_images() const { return set_.size() % batch_; }
  /// Whether pixels come to the device batch by batch, because the set is too large for its memory.
  bool streams() const { return pixels_.streams(); }

  // A step: prepare(), views() as often as it likes, done().
  /// The images whose turn it is in the epoch's random order are on their way to the device.
  void prepare(std::int64_t epoch, std::int64_t step);
  /// Two views of each, as in the epoch that `state` has in the device's memory. Queues work only: part of a step that
  /// is recorded.
  Views views(const StepState& state) const;
  void done() { pixels_.done(); }

  /// Two views of the images with these numbers, augmented as in that epoch; outside the steps.
  Views views(const std::int64_t* images, std::int64_t count, std::uint32_t epoch) const;

 private:
  Tensor empty_views(std::int64_t count) const;
  void augment_into(const Tensor& all, std::int64_t first, const SourceImage* sources, std::int64_t count,
                    AugmentDraw draw) const;
  const ImageSet& set_;
  AugmentPolicy policies_[2];
  std::uint64_t seed_;
  std::int64_t batch_;
  Device device_;
  std::vector<std::int64_t> order_;  // of epoch order_epoch_
  std::int64_t order_epoch_ = -1;
  DevicePixels pixels_;
  UploadRing upload_;
  Tensor batch_record_;  // i32, in the device's memory: the batch's SourceImages, sample ids, labels
};

}  // namespace kagami
