#include "engine/data/procedural.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/checksum.h"
#include "engine/data/data.h"
#include "engine/error.h"
#include "kernels/cpu/parallel.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;

std::uint64_t checksum(const ImageSet& set) { return Checksum().add(set.pixels.data(), set.pixels.size()).value(); }

/// Share of test images whose nearest training image (Euclidean, raw pixels) has their label.
double raw_pixel_accuracy(const Dataset& data) {
  int right = 0;
  for (std::int64_t i = 0; i < data.test.size(); ++i) {
    std::int64_t best = -1, best_distance = 0;
    for (std::int64_t j = 0; j < data.train.size(); ++j) {
      std::int64_t distance = 0;
      const std::uint8_t* a = data.test.image(i).data();
      const std::uint8_t* b = data.train.image(j).data();
      for (int k = 0; k < 3072; ++k) distance += (a[k] - b[k]) * (a[k] - b[k]);
      if (best < 0 || distance < best_distance) {
        best = j;
        best_distance = distance;
      }
    }
    right += data.train.labels[best] == data.test.labels[i];
  }
  return static_cast<double>(right) / static_cast<double>(data.test.size());
}

TEST(DataProcedural, TheSameBytesOnEveryMachine) {
  const Dataset data = procedural_data(100, 50);
  EXPECT_EQ(checksum(data.train), 10390875116311643495U);
  EXPECT_EQ(checksum(data.test), 8669322299666423277U);
}

TEST(DataProcedural, AnImageDependsOnSeedSplitAndIndexAlone) {
  cpu::set_threads(1);
  const Dataset one = procedural_data(300, 20);
  cpu::set_threads(7);
  const Dataset seven = procedural_data(200, 20);
  cpu::set_threads(0);
  for (std::int64_t i = 0; i < 200; ++i) ASSERT_TRUE(std::ranges::equal(one.train.image(i), seven.train.image(i))) << i;
  EXPECT_FALSE(std::ranges::equal(one.train.image(0), one.test.image(0)));
  const Dataset other = procedural_data(10, 0, 1);
  EXPECT_FALSE(std::ranges::equal(one.train.image(0), other.train.image(0)));
}

TEST(DataProcedural, TenBalancedClasses) {
  const Dataset data = open_data("procedural:200");
  EXPECT_EQ(data.train.size(), 200);
  EXPECT_EQ(data.test.size(), 40);
  ASSERT_EQ(data.class_names.size(), 10U);
  for (int c = 0; c < 10; ++c) EXPECT_EQ(std::count(data.train.labels.begin(), data.train.labels.end(), c), 20);
}

TEST(DataProcedural, RawPixelsHardlyKnowTheClass) {
  const double accuracy = raw_pixel_accuracy(procedural_data(2000, 200));
  EXPECT_TRUE(accuracy < 0.35) << accuracy;
}

TEST(DataProcedural, WrongSizesAreRefused) {
  for (const char* source : {"procedural:", "procedural:x", "procedural:5", "procedural:100x", "procedural:-20"}) {
    expect_message(message_of<InputError>([&] { open_data(source); }), {source, "procedural:20000"});
  }
  expect_message(message_of<InputError>([] { open_data("procedurals"); }), {"no such file or folder"});
  expect_message(message_of<InputError>([] { open_data(""); }), {"no such file or folder"});
}

}  // namespace
}  // namespace kagami
