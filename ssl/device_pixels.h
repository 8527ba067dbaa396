#pragma once
// Where a device finds the pixels of a set's images: in its own memory, all of them where they fit, else those of a
// batch that came through pinned buffers. On the CPU that is the set itself.
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/data/image_set.h"
#include "engine/transfer.h"
#include "kernels/augment.h"

namespace kagami {

/// Images whose pixels kernels of a device can read as long as this lives.
class DeviceImages {
 public:
  /// Copies their pixels to a CUDA device; on the CPU they are read where they lie in `set`.
  DeviceImages(const ImageSet& set, const std::int64_t* images, std::int64_t count, Device device);
  /// Of pixels that are in the device's memory for longer.
  DeviceImages(const std::vector<SourceImage>& sources, Device device);
  const SourceImage* data() const { return static_cast<const SourceImage*>(sources_.raw()); }

 private:
  Tensor pixels_, sources_;
};

class DevicePixels {
 public:
  /// Keeps a reference to `set`. Sets of more than `limit` bytes, or than half of the device's memory, are not copied
  /// to a CUDA device as a whole; of those at most `batch` images are prepared at a time.
  DevicePixels(const ImageSet& set, Device device, std::int64_t limit, std::int64_t batch);
  bool streams() const { return stream_.has_value(); }

  /// Writes where these images lie to `sources`, and sends their pixels on the way if they are not there. Work that is
  /// queued until done() may read them.
  void prepare(const std::int64_t* images, std::int64_t count, SourceImage* sources);
  void done();
  /// The same for work outside the steps.
  DeviceImages images(const std::int64_t* images, std::int64_t count) const;

 private:
  void upload();
  void describe(const std::int64_t* images, std::int64_t count, SourceImage* sources) const;
  const ImageSet& set_;
  Device device_;
  Tensor resident_;
  std::vector<std::int64_t> offsets_;  // of images in resident_
  std::optional<DoubleBuffer> stream_;
};

}  // namespace kagami
