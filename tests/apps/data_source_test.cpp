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

TEST(DataSource, TakesARunsImagesAndOptions) { EXPECT_TRUE(inherited({}) == of_run()); }

TEST(DataSource, WhatWasGivenBesideARunWins) {
  const DataSource expected{"photos", 0.3, 0, false, 0, 5};
  EXPECT_TRUE(inherited({"--val-fraction", "0.3", "--max-side", "0", "--skip-unreadable=false", "--train-images", "0",
                         "--test-images", "5"}) == expected);
}

TEST(DataSource, OtherImagesTakeNothingFromTheRun) {
  EXPECT_TRUE(inherited({"--data", "others"}) == DataSource{"others"});
}

}  // namespace
}  // namespace kagami::apps
