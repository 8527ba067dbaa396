#include "ssl/feed.h"

#include <gtest/gtest.h>

#include <set>

namespace kagami {
namespace {

/// Image i is i everywhere, so that a view without colour changes says whose it is.
ImageSet shades(int count, bool labelled) {
  ImageSetBuilder builder;
  for (int i = 0; i < count; ++i) {
    builder.add(std::vector<std::uint8_t>(6 * 6 * 3, static_cast<std::uint8_t>(i)), 6, 6, "shade");
    if (labelled) builder.add_label(i % 3);
  }
  return builder.finish();
}

PretrainConfig plain_config() {
  PretrainConfig config;
  set_augmentation(config, "none");
  for (AugmentPolicy& policy : config.view_policies) {
    policy.size = 6;
    for (int c = 0; c < 3; ++c) {
      policy.mean[c] = 0;
      policy.std[c] = 1;
    }
  }
  config.batch = 4;
  return config;
}

/// The views of a step.
Views batch(Feed& feed, std::uint32_t epoch, std::int64_t step) {
  StepState state(Device::cpu());
  StepScalars scalars;
  scalars.epoch = epoch;
  state.set(scalars);
  feed.prepare(epoch, step);
  Views views = feed.views(state);
  feed.done();
  views.sample_ids = views.sample_ids.clone();  // the next batch is written there
  if (views.labels) views.labels = views.labels.clone();
  return views;
}

TEST(Feed, AnEpochShowsEveryImageOnceExceptTheIncompleteBatch) {
  const ImageSet set = shades(18, true);
  Feed feed(set, plain_config(), Device::cpu());
  EXPECT_EQ(feed.steps_per_epoch(), 4);
  EXPECT_EQ(feed.dropped_images(), 2);
  std::vector<std::vector<std::int32_t>> orders;
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::vector<std::int32_t> order;
    for (int step = 0; step < 4; ++step) {
      const Views views = batch(feed, static_cast<std::uint32_t>(epoch), step);
      ASSERT_EQ(views.images.size(), 2U);
      const auto ids = views.sample_ids.to_host<std::int32_t>(), labels = views.labels.to_host<std::int32_t>();
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(labels[i], ids[i] % 3);
        for (const Tensor& view : views.images)
          EXPECT_NEAR(view.data<float>()[i * 108], static_cast<float>(ids[i]) / 255, 1e-6);
      }
      order.insert(order.end(), ids.begin(), ids.end());
    }
    EXPECT_EQ(std::set<std::int32_t>(order.begin(), order.end()).size(), 16U);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Feed, ABatchIsAFunctionOfEpochAndStep) {
  PretrainConfig config = plain_config();
  for (AugmentPolicy& policy : config.view_policies) policy.jitter_probability = 1;
  for (AugmentPolicy& policy : config.view_policies) policy.brightness = 0.4F;
  const ImageSet set = shades(20, false);
  Feed forwards(set, config, Device::cpu()), backwards(set, config, Device::cpu());
  std::vector<std::vector<float>> first;
  for (int i = 0; i < 10; ++i)
    first.push_back(batch(forwards, static_cast<std::uint32_t>(i) / 5, i % 5).all.to_host<float>());
  for (int i = 9; i >= 0; --i)
    EXPECT_EQ(batch(backwards, static_cast<std::uint32_t>(i) / 5, i % 5).all.to_host<float>(),
              first[static_cast<std::size_t>(i)]);
  const Views views = batch(forwards, 0, 0);
  EXPECT_NE(views.images[0].to_host<float>(), views.images[1].to_host<float>());
  EXPECT_FALSE(views.labels);
}

TEST(Feed, ABatchLargerThanTheSetIsRefused) {
  const ImageSet set = shades(3, false);
  EXPECT_THROW(Feed(set, plain_config(), Device::cpu()), InputError);
  const ImageSet none;
  EXPECT_THROW(Feed(none, plain_config(), Device::cpu()), InputError);
}

}  // namespace
}  // namespace kagami
