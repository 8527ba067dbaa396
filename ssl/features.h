#pragma once
// Features of whole data sets: images without augmentation through a network in eval mode.
#include <functional>

#include "engine/data/image_set.h"
#include "engine/tensor.h"
#include "ssl/augmentation.h"

namespace kagami {

/// [n, size, size, 3] f32 to [n, features].
using Encode = std::function<Tensor(const Tensor& images)>;

/// Features of every image, [images, features] f32 on the CPU, in the set's order; `batch` images at a time, whose
/// views `device` makes.
Tensor features_of(const ImageSet& set, const EvaluationTransform& transform, const Encode& encode, Device device,
                   int batch = 256);

/// The pixels themselves as features: [images, size * size * 3].
Tensor pixels_of(const ImageSet& set, const EvaluationTransform& transform, Device device);

}  // namespace kagami
