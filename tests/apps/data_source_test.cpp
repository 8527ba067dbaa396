#include "apps/support/data_source.h"

#include <gtest/gtest.h>

namespace kagami::apps {
namespace {

DataSource of_run() {
  DataSource run;
  run.data = "photos";
  run.val_fraction = 0.1;
  run.max_side = 64;
  run.skip_unreadable = true;
  run.train_images = 100;
  run.test_images = 10;
  return run;
}

DataSource inherited(const std::vector<std::string>& arguments) {
  DataSource source;
  Options options("knn", "", "");
  source.declare(options);
  options.read(arguments);
  options.apply();
  source.inherit(of_run(), options);
  return source;
}

TEST(DataSource, TakesARunsImagesAndOptions) {
  const DataSource source = inherited({});
  EXPECT_EQ(source.data, "photos");
  EXPECT_EQ(source.val_fraction, 0.1);
  EXPECT_EQ(source.max_side, 64);
  EXPECT_TRUE(source.skip_unreadable);
  EXPECT_EQ(source.train_images, 100);
  EXPECT_EQ(source.test_images, 10);
}

TEST(DataSource, WhatWasGivenBesideARunWins) {
  const DataSource source = inherited({"--val-fraction", "0.3", "--max-side", "0", "--skip-unreadable=false",
                                       "--train-images", "0", "--test-images", "5"});
  EXPECT_EQ(source.data, "photos");
  EXPECT_EQ(source.val_fraction, 0.3);
  EXPECT_EQ(source.max_side, 0);
  EXPECT_FALSE(source.skip_unreadable);
  EXPECT_EQ(source.train_images, 0);
  EXPECT_EQ(source.test_images, 5);
}

TEST(DataSource, OtherImagesTakeNothingFromTheRun) {
  const DataSource source = inherited({"--data", "others"});
  EXPECT_EQ(source.data, "others");
  EXPECT_EQ(source.val_fraction, 0);
  EXPECT_EQ(source.train_images, 0);
}

}  // namespace
}  // namespace kagami::apps
