#include "kernels/augment_sample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace kagami {
namespace {

constexpr int draws = 20000;

AugmentParameters draw(const AugmentPolicy& policy, int i, int height = 100, int width = 100) {
  return sample_augmentation(policy, Philox(11, Purpose::augmentation, 0, static_cast<std::uint32_t>(i), 0), height,
                             width);
}

/// Mean and variance of a quantity over many draws, against those of the uniform distribution on [low, high].
template <class F>
void expect_uniform(const F& quantity, double low, double high) {
  double sum = 0, squares = 0, least = HUGE_VAL, most = -HUGE_VAL;
  for (int i = 0; i < draws; ++i) {
    const double x = quantity(i);
    sum += x;
    squares += x * x;
    least = std::min(least, x);
    most = std::max(most, x);
  }
  const double mean = sum / draws, variance = squares / draws - mean * mean, width = high - low;
  EXPECT_NEAR(mean, (low + high) / 2, 5 * width / std::sqrt(12.0 * draws));
  EXPECT_NEAR(variance, width * width / 12, 5 * width * width * std::sqrt(1.0 / 180 / draws));
  EXPECT_NEAR(least, low, 0.01 * width);
  EXPECT_NEAR(most, high, 0.01 * width);
}

TEST(AugmentSample, CropAreaAndLogRatioAreUniform) {
  AugmentPolicy policy;
  policy.crop_scale_min = 0.2F;
  policy.crop_scale_max = 0.5F;  // small enough that no try is rejected
  const int side = 4000;         // large enough that rounding to pixels does not show
  expect_uniform(
      [&](int i) {
        const CropBox box = draw(policy, i, side, side).crop;
        return static_cast<double>(box.height) * box.width / (static_cast<double>(side) * side);
      },
      0.2, 0.5);
  expect_uniform(
      [&](int i) {
        const CropBox box = draw(policy, i, side, side).crop;
        return std::log(static_cast<double>(box.width) / box.height);
      },
      std::log(0.75), std::log(4.0 / 3));
  expect_uniform(
      [&](int i) {
        const CropBox box = draw(policy, i, side, side).crop;
        return static_cast<double>(box.left) / (side - box.width);
      },
      0, 1);
  expect_uniform(
      [&](int i) {
        const CropBox box = draw(policy, i, side, side).crop;
        return static_cast<double>(box.top) / (side - box.height);
      },
      0, 1);
}

TEST(AugmentSample, CropsLieInsideTheImage) {
  const AugmentPolicy policy;
  for (const auto& [height, width] : {std::pair{1, 1}, {2, 3}, {32, 32}, {7, 200}, {300, 9}})
    for (int i = 0; i < 500; ++i) {
      const CropBox box = draw(policy, i, height, width).crop;
      ASSERT_TRUE(box.height >= 1 && box.width >= 1 && box.top >= 0 && box.left >= 0) << height << 'x' << width;
      ASSERT_TRUE(box.top + box.height <= height && box.left + box.width <= width) << height << 'x' << width;
    }
}

TEST(AugmentSample, FallsBackToTheCentredBoxOfAllowedRatio) {
  AugmentPolicy policy;
  policy.crop_scale_min = policy.crop_scale_max = 1.0F;
  EXPECT_EQ(draw(policy, 0, 10, 100).crop, (CropBox{0, 43, 10, 13}));
  EXPECT_EQ(draw(policy, 0, 100, 10).crop, (CropBox{43, 0, 13, 10}));
  policy.crop_ratio_min = policy.crop_ratio_max = 1.0F;
  EXPECT_EQ(draw(policy, 0, 32, 32).crop, (CropBox{0, 0, 32, 32}));
}

TEST(AugmentSample, WithoutRandomCropItIsTheCentredSquare) {
  AugmentPolicy policy;
  policy.random_crop = false;
  EXPECT_EQ(draw(policy, 0, 20, 31).crop, (CropBox{0, 5, 20, 20}));
}

TEST(AugmentSample, StagesHappenWithTheirProbabilities) {
  AugmentPolicy policy;
  policy.flip_probability = 0.5F;
  policy.jitter_probability = 0.8F;
  policy.gray_probability = 0.2F;
  policy.blur_probability = 0.1F;
  policy.solarize_probability = 0.3F;
  const struct {
    bool AugmentParameters::*happened;
    double probability;
  } stages[] = {{&AugmentParameters::flip, 0.5},
                {&AugmentParameters::jitter, 0.8},
                {&AugmentParameters::gray, 0.2},
                {&AugmentParameters::blur, 0.1},
                {&AugmentParameters::solarize, 0.3}};
  for (const auto& [happened, probability] : stages) {
    int count = 0;
    for (int i = 0; i < draws; ++i) count += draw(policy, i).*happened;
    EXPECT_NEAR(count / static_cast<double>(draws), probability,
                5 * std::sqrt(probability * (1 - probability) / draws));
  }
}

TEST(AugmentSample, ProbabilitiesZeroAndOneAreNeverAndAlways) {
  AugmentPolicy policy;
  policy.flip_probability = 0;
  policy.jitter_probability = 1;
  for (int i = 0; i < 2000; ++i) {
    ASSERT_FALSE(draw(policy, i).flip);
    ASSERT_TRUE(draw(policy, i).jitter);
  }
}

TEST(AugmentSample, FactorsAreUniformInTheirRanges) {
  AugmentPolicy policy;
  policy.brightness = 0.4F;
  policy.contrast = 0.8F;
  policy.saturation = 1.5F;  // cut off at 0 below
  policy.hue = 0.2F;
  policy.blur_sigma_min = 0.1F;
  policy.blur_sigma_max = 2.0F;
  expect_uniform([&](int i) { return draw(policy, i).brightness; }, 0.6, 1.4);
  expect_uniform([&](int i) { return draw(policy, i).contrast; }, 0.2, 1.8);
  expect_uniform([&](int i) { return draw(policy, i).saturation; }, 0.0, 2.5);
  expect_uniform([&](int i) { return draw(policy, i).hue; }, -0.2, 0.2);
  expect_uniform([&](int i) { return draw(policy, i).blur_sigma; }, 0.1, 2.0);
}

TEST(AugmentSample, AllOrdersOfTheJitterAreEquallyFrequent) {
  const AugmentPolicy policy;
  std::map<int, int> counts;
  for (int i = 0; i < draws; ++i) {
    int code = 0;
    for (const JitterOp op : draw(policy, i).jitter_order) code = code * 4 + static_cast<int>(op);
    ++counts[code];
  }
  ASSERT_EQ(counts.size(), 24U);
  double chi2 = 0;
  for (const auto& [code, count] : counts) chi2 += std::pow(count - draws / 24.0, 2) / (draws / 24.0);
  EXPECT_LT(chi2, 49.7) << "23 degrees of freedom: exceeded once in 1000 seeds";
}

TEST(AugmentSample, OneSettingDoesNotMoveTheOtherDraws) {
  AugmentPolicy strong, weak;
  weak.jitter_probability = weak.brightness = weak.hue = 0;
  weak.blur_probability = 1;
  for (int i = 0; i < 100; ++i) {
    const AugmentParameters a = draw(strong, i), b = draw(weak, i);
    ASSERT_EQ(a.crop, b.crop);
    ASSERT_EQ(a.flip, b.flip);
    ASSERT_EQ(a.gray, b.gray);
    ASSERT_EQ(a.contrast, b.contrast);
  }
}

}  // namespace
}  // namespace kagami
