#pragma once
// The Gaussian blur's weights and borders.
#include <cmath>

#include "kernels/augment_pixel.h"

namespace kagami::blur {

/// Borders are reflected without repeating the edge.
KAGAMI_PIXEL int reflected(int i, int size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * (size - 1) - i;
}

/// Gaussian of width 2 radius + 1, as torchvision samples it; weights[0] is the centre's.
KAGAMI_HD inline void gaussian(float sigma, int radius, float* weights) {
  float total = 0;
  for (int i = 0; i <= radius; ++i) {
    const float z = static_cast<float>(i) / sigma;
    weights[i] = std::exp(-0.5F * z * z);
    total += (i == 0 ? 1.0F : 2.0F) * weights[i];
  }
  for (int i = 0; i <= radius; ++i) weights[i] /= total;
}

}  // namespace kagami::blur
