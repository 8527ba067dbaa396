// Separable blur of planes, borders reflected without repeating the edge.
#include "kernels/augment_blur.h"
#include "kernels/cpu/augment_kernels.h"
#include "kernels/cpu/isa/augment_loops.h"
#include "kernels/cpu/isa/augment_tile.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

using kagami::blur::reflected;

/// Along x: whole rows of y at once.
void blur_across(const float* in, int size, const float* weights, int radius, float* out) {
  const auto row = [&](int x) { return in + static_cast<std::int64_t>(reflected(x, size)) * size; };
  for (int x = 0; x < size; ++x) {
    const float* center = row(x);
    float* to = out + static_cast<std::int64_t>(x) * size;
    for (int y = 0; y < size; y += lanes) {
      Float sum = weights[0] * load(center + y);
      for (int i = 1; i <= radius; ++i) sum += weights[i] * (load(row(x - i) + y) + load(row(x + i) + y));
      store_first(to + y, sum, size - y);
    }
  }
}

/// Along y: each row is copied between its reflected borders first.
void blur_along(const float* in, int size, const float* weights, int radius, float* bordered, float* out) {
  for (int x = 0; x < size; ++x) {
    const float* from = in + static_cast<std::int64_t>(x) * size;
    float* to = out + static_cast<std::int64_t>(x) * size;
    for (int y = 0; y < size; ++y) bordered[radius + y] = from[y];
    for (int i = 1; i <= radius; ++i) {
      bordered[radius - i] = from[reflected(-i, size)];
      bordered[radius + size - 1 + i] = from[reflected(size - 1 + i, size)];
    }
    for (int y = 0; y < size; y += lanes) {
      const float* center = bordered + radius + y;
      Float sum = weights[0] * load(center);
      for (int i = 1; i <= radius; ++i) sum += weights[i] * (load(center - i) + load(center + i));
      store_first(to + y, pixel::clamped(sum), size - y);
    }
  }
}

}  // namespace

void blur(const Planes& x, const float* weights, int radius, float* scratch) {
  const std::int64_t pixels = static_cast<std::int64_t>(x.size) * x.size;
  float* bordered = scratch + pixels;
  for (float* plane : x.channel) {
    blur_across(plane, x.size, weights, radius, scratch);
    blur_along(scratch, x.size, weights, radius, bordered, plane);
  }
}

}  // namespace kagami::cpu::KAGAMI_ISA
