#pragma once
// Weights of antialiased resizing along one axis, as PyTorch's interpolate(antialias=True, align_corners=False) takes
// them: the filter is stretched by the scale where the image shrinks, and its weights are normalised at the borders.
#include <cmath>

#include "kernels/augment.h"
#include "kernels/types.h"

namespace kagami::resize {

struct Taps {
  int first, count;
};

/// Most input pixels that one output pixel can depend on.
KAGAMI_HD inline int most_taps(Interpolation interpolation, int in, int out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float radius = interpolation == Interpolation::bilinear ? 1.0F : 2.0F;
  const float support = radius * (scale > 1.0F ? scale : 1.0F);
  return 2 * static_cast<int>(support) + 3;
}

/// Triangle, or Keys' cubic with a = -1/2.
KAGAMI_HD inline float filter(Interpolation interpolation, float x) {
  x = x < 0.0F ? -x : x;
  if (interpolation == Interpolation::bilinear) return x < 1.0F ? 1.0F - x : 0.0F;
  constexpr float a = -0.5F;
  if (x < 1.0F) return ((a + 2.0F) * x - (a + 3.0F)) * x * x + 1.0F;
  if (x < 2.0F) return (((x - 5.0F) * x + 8.0F) * x - 4.0F) * a;
  return 0.0F;
}

/// The input pixels [first, end) that make one output pixel, and the filter's place among them.
struct Window {
  int first, end;
  float center, inverse_scale;

  /// The weight of input pixel k, before weights are normalised.
  KAGAMI_HD float raw(Interpolation interpolation, int k) const {
    return filter(interpolation, (static_cast<float>(k) - center + 0.5F) * inverse_scale);
  }
};

/// Of output pixel `i` of `out`.
KAGAMI_HD inline Window window_of(Interpolation interpolation, int in, int out, int i) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float radius = interpolation == Interpolation::bilinear ? 1.0F : 2.0F;
  const float support = scale >= 1.0F ? radius * scale : radius;
  const float inverse_scale = scale >= 1.0F ? 1.0F / scale : 1.0F;
  const float center = scale * (static_cast<float>(i) + 0.5F);
  const float low = center - support + 0.5F, high = center + support + 0.5F;
  const int first = low > 0.0F ? static_cast<int>(low) : 0;
  const int end = high < static_cast<float>(in) ? static_cast<int>(high) : in;
  return {first, end, center, inverse_scale};
}

/// What weights of this sum are multiplied by.
KAGAMI_HD inline float inverse_of(float total) { return total != 0.0F ? 1.0F / total : 1.0F; }

/// Which input pixels make output pixel `i` of `out`, and with what weights (room for most_taps of them).
KAGAMI_HD inline Taps taps_of(Interpolation interpolation, int in, int out, int i, float* weights) {
  const Window window = window_of(interpolation, in, out, i);
  const int first = window.first, end = window.end;
  float total = 0.0F;
  for (int k = first; k < end; ++k) {
    weights[k - first] = window.raw(interpolation, k);
    total += weights[k - first];
  }
  const float inverse_total = inverse_of(total);
  for (int k = first; k < end; ++k) weights[k - first] *= inverse_total;
  return {first, end - first};
}

/// A box of an image resized to height x width, and the first of its pixels that a view takes.
struct Resize {
  CropBox box;
  int height, width, first_y = 0, first_x = 0;
};

/// Of an augmented view: the crop fills it.
KAGAMI_HD inline Resize whole_view(const CropBox& crop, int size) { return {crop, size, size}; }

/// Of evaluation, see EvaluationTransform.
KAGAMI_HD inline Resize evaluation(const EvaluationTransform& transform, int height, int width) {
  const std::int64_t short_side = height < width ? height : width;
  Resize resize{{0, 0, height, width},
                static_cast<int>(std::int64_t{transform.resize} * height / short_side),
                static_cast<int>(std::int64_t{transform.resize} * width / short_side)};
  resize.first_y = static_cast<int>(std::rint((resize.height - transform.size) / 2.0));
  resize.first_x = static_cast<int>(std::rint((resize.width - transform.size) / 2.0));
  return resize;
}

}  // namespace kagami::resize
