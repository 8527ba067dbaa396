#pragma once
// Named augmentation policies and their settings. A policy is kernels/augment.h's struct; here it gets a name, limits
// and a spelling in recipe files.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/augment.h"

namespace kagami {

/// Policies by name:
///   simclr        Chen et al. 2020, ImageNet: jitter .8 .8 .8 .2, blur of a tenth of the image
///   simclr-cifar  its appendix B.9: half the colour strength, no blur
///   simsiam-cifar Chen and He 2020, appendix D: MoCo v2's without blur
///   moco-v2       Chen et al. 2020b, ImageNet, also SimSiam's
///   byol-1 byol-2 Grill et al. 2020, ImageNet: the two views' distributions T and T'
///   smoke         crops of at least a fifth of the image, weak jitter: small CPU experiments
///   none          the centred square, nothing else
/// Throws InputError for any other name.
AugmentPolicy augment_policy(std::string_view name);
std::vector<std::string> augment_policy_names();

/// Throws InputError naming the setting, its value and what is allowed.
void validate(const AugmentPolicy& policy);

/// Sets the side of a view, and the width of the blur with it: a tenth of the side, odd, as SimCLR's appendix A has it.
void set_view_size(AugmentPolicy& policy, int size);

/// Sets one setting from text, `crop-scale-min` from `.08` say; `size` as set_view_size does, so a `blur-kernel` goes
/// after it. Throws InputError for an unknown key or a bad value.
void set_augment_setting(AugmentPolicy& policy, std::string_view key, std::string_view value);

/// Every setting as text, in a fixed order; setting all of them on any policy gives back exactly this one.
std::vector<std::pair<std::string, std::string>> augment_settings(const AugmentPolicy& policy);

/// How images are shown to an evaluation of a network trained with this policy: small views whole, larger ones as the
/// centre 7/8 (224 of 256) of the short side.
EvaluationTransform evaluation_transform(const AugmentPolicy& policy);

}  // namespace kagami
