// The operations on single pixels, `lanes` pixels at a time, and the table of all loops of the augmentation.
#include "kernels/augment_pixel.h"
#include "kernels/cpu/augment_kernels.h"
#include "kernels/cpu/isa/augment_loops.h"
#include "kernels/cpu/isa/augment_tile.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

using Pixel = pixel::Rgb<Float>;

KAGAMI_INLINE Pixel load_pixels(const Planes& x, std::int64_t i) {
  return {load(x.channel[0] + i), load(x.channel[1] + i), load(x.channel[2] + i)};
}

/// x = f(x) for every pixel; runs over the end into the padding.
template <class F>
KAGAMI_INLINE void each_pixel(const Planes& x, F f) {
  const std::int64_t pixels = static_cast<std::int64_t>(x.size) * x.size;
  for (std::int64_t i = 0; i < pixels; i += lanes) {
    const Pixel y = f(load_pixels(x, i));
    store(x.channel[0] + i, y.r);
    store(x.channel[1] + i, y.g);
    store(x.channel[2] + i, y.b);
  }
}

float mean_luma(const Planes& x) {
  const std::int64_t pixels = static_cast<std::int64_t>(x.size) * x.size;
  const std::int64_t whole = pixels - pixels % lanes;
  Float sums{};
  for (std::int64_t i = 0; i < whole; i += lanes) sums += pixel::luma(load_pixels(x, i));
  const Float last = pixel::luma(load_pixels(x, whole));
  double sum = 0;
  for (int i = 0; i < lanes; ++i) sum += static_cast<double>(sums[i]) + (whole + i < pixels ? last[i] : 0.0F);
  return static_cast<float>(sum / static_cast<double>(pixels));
}

void brightness(const Planes& x, float factor) {
  each_pixel(x, [=](const Pixel& p) { return pixel::brightness(p, factor); });
}

void contrast(const Planes& x, float factor) {
  const Float mean = broadcast(mean_luma(x));
  each_pixel(x, [=](const Pixel& p) { return pixel::toward(p, mean, factor); });
}

void saturation(const Planes& x, float factor) {
  each_pixel(x, [=](const Pixel& p) { return pixel::toward(p, pixel::luma(p), factor); });
}

void hue(const Planes& x, float turns) {
  each_pixel(x, [=](const Pixel& p) { return pixel::hue(p, turns); });
}

void gray(const Planes& x) {
  each_pixel(x, [](const Pixel& p) {
    const Float y = pixel::clamped(pixel::luma(p));
    return Pixel{y, y, y};
  });
}

void solarize(const Planes& x, float threshold) {
  each_pixel(x, [=](const Pixel& p) {
    return Pixel{pixel::solarized(p.r, threshold), pixel::solarized(p.g, threshold), pixel::solarized(p.b, threshold)};
  });
}

}  // namespace

extern const AugmentKernels augment_kernels;
const AugmentKernels augment_kernels = {resize, brightness, contrast, saturation, hue,
                                        gray,   blur,       solarize, store_view};

}  // namespace kagami::cpu::KAGAMI_ISA
