#include "ssl/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/error.h"

namespace kagami {
namespace {

/// The message of the InputError that f throws, empty if it throws none.
template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const InputError& error) {
    return error.what();
  }
  return {};
}

void expect_mentions(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' lacks " << part;
}

TEST(Augmentation, EveryPresetIsValid) {
  ASSERT_EQ(augment_policy_names().size(), 8U);
  for (const std::string& name : augment_policy_names()) EXPECT_NO_THROW(validate(augment_policy(name))) << name;
}

TEST(Augmentation, PresetsHaveThePapersNumbers) {
  const AugmentPolicy simclr = augment_policy("simclr");
  EXPECT_EQ(simclr.size, 224);
  EXPECT_EQ(simclr.brightness, 0.8F);
  EXPECT_EQ(simclr.hue, 0.2F);
  EXPECT_EQ(simclr.blur_kernel, 23);
  EXPECT_EQ(simclr.interpolation, Interpolation::bicubic);
  const AugmentPolicy cifar = augment_policy("simclr-cifar");
  EXPECT_EQ(cifar.brightness, 0.4F);
  EXPECT_EQ(cifar.hue, 0.1F);
  EXPECT_EQ(cifar.blur_probability, 0.0F);
  const AugmentPolicy moco = augment_policy("moco-v2");
  EXPECT_EQ(moco.crop_scale_min, 0.2F);
  EXPECT_EQ(moco.order[3], AugmentStage::flip);
  EXPECT_EQ(augment_policy("byol-1").blur_probability, 1.0F);
  EXPECT_EQ(augment_policy("byol-2").solarize_probability, 0.2F);
  EXPECT_EQ(augment_policy("byol-2").saturation, 0.2F);
  const AugmentPolicy smoke = augment_policy("smoke");
  EXPECT_EQ(smoke.crop_scale_min, 0.2F);
  EXPECT_EQ(smoke.jitter_probability, 0.8F);
  EXPECT_EQ(smoke.gray_probability, 0.2F);
  EXPECT_FALSE(augment_policy("none").random_crop);
}

TEST(Augmentation, TheBlurIsATenthOfTheViewUnlessGiven) {
  AugmentPolicy policy = augment_policy("simclr");
  set_augment_setting(policy, "size", "96");
  EXPECT_EQ(policy.blur_kernel, 9);
  set_augment_setting(policy, "blur-kernel", "5");
  EXPECT_EQ(policy.blur_kernel, 5);
  for (const auto& [size, kernel] : {std::pair{8, 1}, {32, 3}, {64, 7}, {160, 17}, {224, 23}}) {
    set_view_size(policy, size);
    EXPECT_EQ(policy.size, size);
    EXPECT_EQ(policy.blur_kernel, kernel) << size;
    EXPECT_NO_THROW(validate(policy));
  }
}

TEST(Augmentation, UnknownPolicyNamesThoseThereAre) {
  expect_mentions(error_of([] { augment_policy("simclear"); }), {"simclear", "simclr-cifar", "byol-2", "none"});
}

TEST(Augmentation, SettingsRoundTrip) {
  for (const std::string& name : augment_policy_names()) {
    const AugmentPolicy policy = augment_policy(name);
    AugmentPolicy copy = augment_policy("byol-2");
    for (const auto& [key, value] : augment_settings(policy)) set_augment_setting(copy, key, value);
    EXPECT_EQ(augment_settings(copy), augment_settings(policy)) << name;
    EXPECT_EQ(copy.crop_ratio_max, policy.crop_ratio_max) << "floats keep their last bit";
    EXPECT_TRUE(std::equal(std::begin(copy.std), std::end(copy.std), policy.std));
    EXPECT_TRUE(std::equal(std::begin(copy.order), std::end(copy.order), policy.order));
  }
}

TEST(Augmentation, SettingsAreReadFromText) {
  AugmentPolicy policy;
  set_augment_setting(policy, "size", "64");
  set_augment_setting(policy, "crop-scale-min", ".25");
  set_augment_setting(policy, "interpolation", "bicubic");
  set_augment_setting(policy, "random-crop", "no");
  set_augment_setting(policy, "order", "gray,jitter,flip,solarize,blur");
  set_augment_setting(policy, "mean", ".1,.2,.3");
  EXPECT_EQ(policy.size, 64);
  EXPECT_EQ(policy.crop_scale_min, 0.25F);
  EXPECT_EQ(policy.interpolation, Interpolation::bicubic);
  EXPECT_FALSE(policy.random_crop);
  EXPECT_EQ(policy.order[0], AugmentStage::gray);
  EXPECT_EQ(policy.order[4], AugmentStage::blur);
  EXPECT_EQ(policy.mean[2], 0.3F);
}

TEST(Augmentation, BadTextIsRefusedWithKeyAndValue) {
  const struct {
    const char *key, *value, *mentioned;
  } bad[] = {{"blur", "1", "blur-kernel"},
             {"hue", "much", "not a number"},
             {"hue", "", "not a number"},
             {"hue", ".1x", "not a number"},
             {"size", "32.5", "not a whole number"},
             {"interpolation", "nearest", "bilinear, bicubic"},
             {"random-crop", "1", "yes or no"},
             {"order", "flip,blur", "once"},
             {"order", "flip,jitter,gray,blur,crop", "solarize"},
             {"std", ".2,.2", "three numbers"},
             {"std", ".2,.2,", "not a number"}};
  for (const auto& [key, value, mentioned] : bad) {
    AugmentPolicy policy;
    expect_mentions(error_of([&, k = key, v = value] { set_augment_setting(policy, k, v); }), {key, mentioned});
  }
}

TEST(Augmentation, ImpossiblePoliciesAreRefused) {
  const struct {
    const char *key, *value, *mentioned;
  } bad[] = {{"size", "0", "size"},
             {"crop-scale-min", "0", "crop-scale-min"},
             {"crop-scale-max", "1.5", "crop-scale-max"},
             {"crop-scale-min", "nan", "crop-scale-min"},
             {"crop-ratio-min", "2", "crop-ratio-max"},
             {"flip-probability", "1.1", "[0, 1]"},
             {"gray-probability", "-0.1", "gray-probability"},
             {"brightness", "-1", "brightness"},
             {"hue", "0.6", "turns"},
             {"blur-kernel", "4", "odd"},
             {"blur-sigma-min", "0", "blur-sigma-min"},
             {"solarize-threshold", "2", "solarize-threshold"},
             {"order", "flip,flip,gray,blur,solarize", "once"},
             {"std", "1,0,1", "positive"},
             {"mean", "inf,0,0", "finite"}};
  for (const auto& [key, value, mentioned] : bad) {
    AugmentPolicy policy;
    set_augment_setting(policy, key, value);
    expect_mentions(error_of([&] { validate(policy); }), {key, mentioned});
  }
  AugmentPolicy wide = augment_policy("byol-1");
  wide.size = 8;
  expect_mentions(error_of([&] { validate(wide); }), {"blur-kernel = 23", "size = 8", "15"});
}

TEST(Augmentation, EvaluationShowsSmallViewsWholeAndTheCentreOfLargeOnes) {
  const EvaluationTransform small = evaluation_transform(augment_policy("simclr-cifar"));
  EXPECT_EQ(small.size, 32);
  EXPECT_EQ(small.resize, 32);
  EXPECT_EQ(small.std[0], 0.247F);
  const EvaluationTransform large = evaluation_transform(augment_policy("simclr"));
  EXPECT_EQ(large.size, 224);
  EXPECT_EQ(large.resize, 256);
}

}  // namespace
}  // namespace kagami
