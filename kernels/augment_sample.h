#pragma once
// Draws an augmentation from a policy. Every parameter has its own fixed place in the counter, so changing one number
// of a policy (no jitter, say) leaves all other draws as they were.
#include "kernels/augment.h"
#include "kernels/philox.h"

namespace kagami {

constexpr int crop_tries = 10;

namespace sample {

constexpr std::uint32_t first_crop_draw = 0;  // one block a try
constexpr std::uint32_t first_stage_draw = 16;

KAGAMI_HD inline std::uint32_t below(std::uint32_t word, int count) {
  return bounded(std::uint64_t{word} << 32, static_cast<std::uint32_t>(count));
}
KAGAMI_HD inline bool happens(std::uint32_t word, float probability) { return unit_float(word) < probability; }
KAGAMI_HD inline float uniform(std::uint32_t word, float low, float high) {
  return low + (high - low) * unit_float(word);
}
KAGAMI_HD inline float factor(std::uint32_t word, float strength) {
  return uniform(word, strength < 1.0F ? 1.0F - strength : 0.0F, 1.0F + strength);
}

KAGAMI_HD inline CropBox centred(int height, int width, int crop_height, int crop_width) {
  return {(height - crop_height) / 2, (width - crop_width) / 2, crop_height, crop_width};
}

/// RandomResizedCrop: area uniform, log of the ratio uniform, ten tries, then the largest centred box of an allowed
/// ratio. In double, so that rounding to whole pixels comes out alike on every device.
KAGAMI_HD inline CropBox crop(const AugmentPolicy& policy, const Philox& random, int height, int width) {
  const double log_min = std::log(static_cast<double>(policy.crop_ratio_min));
  const double log_max = std::log(static_cast<double>(policy.crop_ratio_max));
  for (std::uint32_t i = 0; i < crop_tries; ++i) {
    const PhiloxWords words = random.block(first_crop_draw + i);
    const double u = words[0] * 0x1p-32, v = words[1] * 0x1p-32;
    const double fraction =
        policy.crop_scale_min + (static_cast<double>(policy.crop_scale_max) - policy.crop_scale_min) * u;
    const double area = static_cast<double>(height) * width * fraction;
    const double ratio = std::exp(log_min + (log_max - log_min) * v);
    const double w = std::rint(std::sqrt(area * ratio)), h = std::rint(std::sqrt(area / ratio));
    if (w >= 1 && w <= width && h >= 1 && h <= height) {
      const int box_h = static_cast<int>(h), box_w = static_cast<int>(w);
      return {static_cast<int>(below(words[2], height - box_h + 1)),
              static_cast<int>(below(words[3], width - box_w + 1)), box_h, box_w};
    }
  }
  const double ratio = static_cast<double>(width) / height;
  int box_h = height, box_w = width;
  if (ratio < policy.crop_ratio_min)
    box_h = static_cast<int>(std::rint(width / static_cast<double>(policy.crop_ratio_min)));
  else if (ratio > policy.crop_ratio_max)
    box_w = static_cast<int>(std::rint(height * static_cast<double>(policy.crop_ratio_max)));
  box_h = box_h < 1 ? 1 : (box_h > height ? height : box_h);
  box_w = box_w < 1 ? 1 : (box_w > width ? width : box_w);
  return centred(height, width, box_h, box_w);
}

/// One of the 24 orders of the four jitter operations.
KAGAMI_HD inline void jitter_order(std::uint32_t word, JitterOp* order) {
  std::uint32_t code = below(word, 24);
  for (int i = 0; i < jitter_ops; ++i) order[i] = static_cast<JitterOp>(i);
  for (int i = jitter_ops - 1; i > 0; --i) {
    const std::uint32_t j = code % static_cast<std::uint32_t>(i + 1);
    code /= static_cast<std::uint32_t>(i + 1);
    const JitterOp kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

}  // namespace sample

/// The augmentation of one view of an image of this size; `random` is keyed (seed, augmentation) and counts
/// (draw, view, sample, epoch).
KAGAMI_HD inline AugmentParameters sample_augmentation(const AugmentPolicy& policy, const Philox& random, int height,
                                                       int width) {
  AugmentParameters p;
  const int square = height < width ? height : width;
  p.crop =
      policy.random_crop ? sample::crop(policy, random, height, width) : sample::centred(height, width, square, square);
  const PhiloxWords apply = random.block(sample::first_stage_draw);
  p.flip = sample::happens(apply[0], policy.flip_probability);
  p.jitter = sample::happens(apply[1], policy.jitter_probability);
  p.gray = sample::happens(apply[2], policy.gray_probability);
  p.blur = sample::happens(apply[3], policy.blur_probability);
  const PhiloxWords factors = random.block(sample::first_stage_draw + 1);
  p.brightness = sample::factor(factors[0], policy.brightness);
  p.contrast = sample::factor(factors[1], policy.contrast);
  p.saturation = sample::factor(factors[2], policy.saturation);
  p.hue = sample::uniform(factors[3], -policy.hue, policy.hue);
  const PhiloxWords rest = random.block(sample::first_stage_draw + 2);
  sample::jitter_order(rest[0], p.jitter_order);
  p.blur_sigma = sample::uniform(rest[1], policy.blur_sigma_min, policy.blur_sigma_max);
  p.solarize = sample::happens(rest[2], policy.solarize_probability);
  return p;
}

}  // namespace kagami
