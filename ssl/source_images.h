#pragma once
// From a set of images to what the augmentation kernels take.
#include "engine/data/image_set.h"
#include "kernels/augment.h"

namespace kagami {

inline SourceImage source_image(const ImageSet& set, std::int64_t index) {
  const auto i = static_cast<std::size_t>(index);
  return {set.image(index).data(), set.heights[i], set.widths[i], static_cast<std::uint32_t>(index)};
}

}  // namespace kagami
