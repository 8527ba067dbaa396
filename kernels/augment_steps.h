#pragma once
// What happens to a view between resizing and normalisation, in order: the same list on every back end.
#include "kernels/augment.h"
#include "kernels/types.h"

namespace kagami {

struct AugmentStep {
  enum class Kind : std::uint8_t { brightness, contrast, saturation, hue, gray, blur, solarize };
  Kind kind;
  float value;  ///< the jitter's factor or turns, the blur's sigma, the solarisation's threshold
};

struct AugmentSteps {
  AugmentStep at[jitter_ops + augment_stages];
  int count = 0;
  KAGAMI_HD void add(AugmentStep::Kind kind, float value) { at[count++] = {kind, value}; }
};

/// Jitter by factors that change nothing, and a blur of one pixel, are left out. A mirror image commutes with
/// everything (pixelwise, or symmetric): it is part of resizing.
KAGAMI_HD inline AugmentSteps augment_steps(const AugmentPolicy& policy, const AugmentParameters& p) {
  using enum AugmentStep::Kind;
  AugmentSteps steps;
  for (const AugmentStage stage : policy.order) {
    if (stage == AugmentStage::gray && p.gray) steps.add(gray, 0);
    if (stage == AugmentStage::blur && p.blur && policy.blur_kernel > 1) steps.add(blur, p.blur_sigma);
    if (stage == AugmentStage::solarize && p.solarize) steps.add(solarize, policy.solarize_threshold);
    if (stage != AugmentStage::jitter || !p.jitter) continue;
    for (const JitterOp op : p.jitter_order) {
      if (op == JitterOp::brightness && p.brightness != 1.0F) steps.add(brightness, p.brightness);
      if (op == JitterOp::contrast && p.contrast != 1.0F) steps.add(contrast, p.contrast);
      if (op == JitterOp::saturation && p.saturation != 1.0F) steps.add(saturation, p.saturation);
      if (op == JitterOp::hue && p.hue != 0.0F) steps.add(hue, p.hue);
    }
  }
  return steps;
}

}  // namespace kagami
