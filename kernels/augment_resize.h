#pragma once
// Weights of antialiased resizing along one axis, as PyTorch's interpolate(antialias=True, align_corners=False) takes
// them: the filter is stretched by the scale where the image shrinks, and its weights are normalised at the borders.
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

/// Which input pixels make output pixel `i` of `out`, and with what weights (room for most_taps of them).
KAGAMI_HD inline Taps taps_of(Interpolation interpolation, int in, int out, int i, float* weights) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float radius = interpolation == Interpolation::bilinear ? 1.0F : 2.0F;
  const float support = scale >= 1.0F ? radius * scale : radius;
  const float inverse_scale = scale >= 1.0F ? 1.0F / scale : 1.0F;
  const float center = scale * (static_cast<float>(i) + 0.5F);
  const float low = center - support + 0.5F, high = center + support + 0.5F;
  const int first = low > 0.0F ? static_cast<int>(low) : 0;
  const int end = high < static_cast<float>(in) ? static_cast<int>(high) : in;
  float total = 0.0F;
  for (int k = first; k < end; ++k) {
    weights[k - first] = filter(interpolation, (static_cast<float>(k) - center + 0.5F) * inverse_scale);
    total += weights[k - first];
  }
  const float inverse_total = total != 0.0F ? 1.0F / total : 1.0F;
  for (int k = first; k < end; ++k) weights[k - first] *= inverse_total;
  return {first, end - first};
}

}  // namespace kagami::resize
