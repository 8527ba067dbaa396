#pragma once
// A data set that needs no files: ten classes of textures and shapes, 32x32 pixels. Class is what the pattern is;
// colours, place, scale, direction, bends, background, contrast and noise are drawn anew for every image. So nearest
// neighbours of raw pixels hardly know the class, while a network can learn it without labels: exactly these nuisances
// are what two augmented views of one image differ in.
#include <cstdint>

#include "engine/data/image_set.h"

namespace kagami {

constexpr std::int64_t default_procedural_images = 20'000;

/// Classes in turn: image i has label i % 10. The same bytes for a seed on every machine, whatever the threads; an
/// image depends on the seed, its split and its index alone.
Dataset procedural_data(std::int64_t train_images, std::int64_t test_images, std::uint64_t seed = 0);

}  // namespace kagami
