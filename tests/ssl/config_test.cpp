#include "ssl/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/error.h"
#include "ssl/method.h"

namespace kagami {
namespace {

TEST(Config, LearningRateScaling) {
  PretrainConfig config;
  config.lr = 0.05;
  config.batch = 512;
  config.lr_scaling = "linear";
  EXPECT_DOUBLE_EQ(scaled_lr(config), 0.1);
  EXPECT_EQ(describe_lr(config), "0.05 x 512 / 256 = 0.1");
  config.lr_scaling = "sqrt";
  EXPECT_DOUBLE_EQ(scaled_lr(config), 0.05 * std::sqrt(512.0));
  config.lr_scaling = "none";
  EXPECT_DOUBLE_EQ(scaled_lr(config), 0.05);
}

TEST(Config, EveryMethodsRecipeIsValid) {
  ASSERT_FALSE(method_names().empty());
  for (const std::string& name : method_names()) {
    PretrainConfig config;
    method_info(name).defaults(config);
    EXPECT_NO_THROW(validate(config)) << name;
    EXPECT_FALSE(method_info(name).summary.empty());
  }
}

TEST(Config, AugmentationOfOneOrTwoViews) {
  PretrainConfig config;
  set_augmentation(config, "byol-1,byol-2");
  EXPECT_EQ(config.view_policies[0].solarize_probability, 0);
  EXPECT_GT(config.view_policies[1].solarize_probability, 0);
  set_augmentation(config, "none");
  EXPECT_FALSE(config.view_policies[1].random_crop);
  EXPECT_THROW(set_augmentation(config, "nonsense"), InputError);
}

TEST(Config, BadValuesAreRefused) {
  const auto refuses = [](auto&& change) {
    PretrainConfig config;
    change(config);
    EXPECT_THROW(validate(config), InputError);
  };
  refuses([](auto& c) { c.optimizer = "adam"; });
  refuses([](auto& c) { c.bn_views = "both"; });
  refuses([](auto& c) { c.schedule = "step"; });
  refuses([](auto& c) { c.lr = std::nan(""); });
  refuses([](auto& c) { c.momentum = 1; });
  refuses([](auto& c) { c.projector_layers = 9; });
  refuses([](auto& c) { c.micro_batch = 1; });
  refuses([](auto& c) { c.epochs = 0; });
  refuses([](auto& c) { c.warmup_epochs = c.epochs; });
  refuses([](auto& c) { c.batch = 1; });
  refuses([](auto& c) { c.view_policies[1].size = 64; });
}

}  // namespace
}  // namespace kagami
