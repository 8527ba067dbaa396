#include "ssl/knn_monitor.h"

#include <gtest/gtest.h>

#include "engine/data/procedural.h"

namespace kagami {
namespace {

/// Features that are the images themselves: the class is the colour, roughly.
Tensor pixels(const Tensor& images) { return images.view({images.shape(0), images.numel() / images.shape(0)}); }

TEST(KnnMonitor, ABankSmallerThanKVotesAsAWhole) {
  const Dataset data = procedural_data(12, 10);
  PretrainConfig config;
  config.knn.k = 20;
  const double all = KnnMonitor(data, config, Device::cpu()).accuracy(pixels);
  config.knn.k = 12;
  EXPECT_EQ(KnnMonitor(data, config, Device::cpu()).accuracy(pixels), all);
}

TEST(KnnMonitor, SaysWhatTheDataLacks) {
  Dataset data = procedural_data(20, 10);
  EXPECT_EQ(KnnMonitor::obstacle(data), "");
  data.test.labels.clear();
  EXPECT_NE(KnnMonitor::obstacle(data).find("test images have no labels"), std::string::npos);
  data.test = {};
  EXPECT_NE(KnnMonitor::obstacle(data).find("--val-fraction"), std::string::npos);
  data.train.labels.clear();
  EXPECT_NE(KnnMonitor::obstacle(data).find("no labels"), std::string::npos);
}

}  // namespace
}  // namespace kagami
