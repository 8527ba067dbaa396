#include "engine/data/image_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/error.h"
#include "tests/engine/image_files.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;
using testing::smooth_image;

/// `count` images of sizes 1x1, 2x3, 3x5, ...; labels i % classes, none for 0.
ImageSet example(int count, int classes) {
  ImageSetBuilder builder;
  for (int i = 0; i < count; ++i) {
    builder.add(smooth_image(1 + i % 7, 1 + 2 * (i % 7), i), "image" + std::to_string(i));
    if (classes > 0) builder.add_label(i % classes);
  }
  return builder.finish();
}

TEST(DataImageSet, HoldsImagesOfAnySize) {
  const ImageSet set = example(10, 2);
  ASSERT_EQ(set.size(), 10);
  EXPECT_TRUE(set.labelled());
  EXPECT_EQ(set.max_side(), 13);
  std::int64_t bytes = 0;
  for (int i = 0; i < 10; ++i) {
    const Image expected = smooth_image(1 + i % 7, 1 + 2 * (i % 7), i);
    const auto pixels = set.image(i);
    EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), expected.pixels.begin(), expected.pixels.end())) << i;
    bytes += static_cast<std::int64_t>(expected.pixels.size());
  }
  EXPECT_EQ(set.image_bytes(), bytes);
}

TEST(DataImageSet, SelectingSharesThePixels) {
  const ImageSet set = example(10, 2);
  const std::vector<std::int64_t> indices{7, 2};
  const ImageSet chosen = select(set, indices);
  ASSERT_EQ(chosen.size(), 2);
  EXPECT_EQ(chosen.image(0).data(), set.image(7).data());
  EXPECT_EQ(chosen.sources, (std::vector<std::string>{"image7", "image2"}));
  EXPECT_EQ(chosen.labels, (std::vector<std::int32_t>{1, 0}));
  const std::vector<std::int64_t> outside{10};
  expect_message(message_of<InputError>([&] { select(set, outside); }), {"image 10", "10"});
}

TEST(DataImageSet, FirstPerClass) {
  const ImageSet set = example(10, 3);
  const ImageSet chosen = first_per_class(set, 2);
  EXPECT_EQ(chosen.labels, (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(chosen.sources.front(), "image0");
  expect_message(message_of<InputError>([&] { first_per_class(set, 4); }), {"4 images", "class 1 has 3"});
  EXPECT_THROW(first_per_class(example(10, 0), 1), InputError);
}

TEST(DataImageSet, RandomSubsetIsBalancedAndDependsOnTheSeedAlone) {
  const ImageSet set = example(100, 4);
  const ImageSet a = random_subset(set, 22, 1);
  EXPECT_EQ(a.sources, random_subset(set, 22, 1).sources);
  EXPECT_NE(a.sources, random_subset(set, 22, 2).sources);
  EXPECT_EQ(std::set<std::string>(a.sources.begin(), a.sources.end()).size(), 22U);
  for (int c = 0; c < 4; ++c) {
    const auto members = std::count(a.labels.begin(), a.labels.end(), c);
    EXPECT_TRUE(members == 5 || members == 6) << members;
  }
  EXPECT_TRUE(std::is_sorted(a.offsets.begin(), a.offsets.end()));
  EXPECT_EQ(random_subset(example(100, 0), 22, 1).size(), 22);
  EXPECT_EQ(random_subset(set, 100, 1).sources, set.sources);
  expect_message(message_of<InputError>([&] { random_subset(set, 101, 1); }), {"101", "100"});
}

TEST(DataImageSet, SplitIsBalancedAndStable) {
  const ImageSet set = example(100, 4);
  const TrainTest parts = split(set, 0.2);
  EXPECT_EQ(parts.train.size(), 80);
  EXPECT_EQ(parts.test.size(), 20);
  for (int c = 0; c < 4; ++c) {
    EXPECT_EQ(std::count(parts.test.labels.begin(), parts.test.labels.end(), c), 5);
  }
  std::vector<std::string> all = parts.train.sources;
  all.insert(all.end(), parts.test.sources.begin(), parts.test.sources.end());
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 100U);
  // With 4 images less, most of the held out ones are the same.
  std::vector<std::int64_t> fewer;
  for (std::int64_t i = 0; i < 96; ++i) fewer.push_back(i);
  const TrainTest again = split(select(set, fewer), 0.2);
  const std::set<std::string> before(parts.test.sources.begin(), parts.test.sources.end());
  const auto kept = std::ranges::count_if(again.test.sources, [&](const auto& s) { return before.contains(s); });
  EXPECT_GE(kept, 15);
  EXPECT_EQ(split(set, 0).test.size(), 0);
  EXPECT_EQ(split(set, 0.001).test.size(), 4) << "one of each class";
  EXPECT_EQ(split(example(8, 4), 0.9).train.size(), 4);
  EXPECT_EQ(split(example(4, 4), 0.5).test.size(), 0) << "classes of one image train";
  EXPECT_EQ(split(example(4, 0), 0.1).test.size(), 1);
  EXPECT_THROW(split(set, 1), InputError);
  EXPECT_THROW(split(set, -0.1), InputError);
}

TEST(DataImageSet, ShrinkingASet) {
  const ImageSet set = example(20, 2);
  const ImageSet small = shrink(set, 5);
  EXPECT_EQ(small.max_side(), 5);
  EXPECT_EQ(small.labels, set.labels);
  EXPECT_EQ(small.sources, set.sources);
  const Image expected = shrink(smooth_image(6, 11, 5), 5);
  EXPECT_TRUE(std::ranges::equal(small.image(5), expected.pixels));
  EXPECT_EQ(shrink(set, 13).pixels.data(), set.pixels.data());
}

TEST(DataImageSet, FingerprintsTellSetsApart) {
  const ImageSet set = example(20, 2);
  const std::string same = example(20, 2).fingerprint();
  EXPECT_EQ(set.fingerprint(), same);
  EXPECT_TRUE(same.starts_with("20-")) << same;
  EXPECT_NE(example(19, 2).fingerprint(), same);
  EXPECT_NE(example(20, 4).fingerprint(), same) << "other labels";
  EXPECT_NE(shrink(set, 5).fingerprint(), same) << "other sizes";
  ImageSet renamed = set;
  renamed.sources[3] += "x";
  EXPECT_NE(renamed.fingerprint(), same);
}

TEST(DataImageSet, MissingLabelsAreReportedWithThePurpose) {
  Dataset data;
  data.name = "holiday";
  data.train = example(4, 0);
  expect_message(message_of<InputError>([&] { data.labelled_split(false, "knn"); }), {"knn", "holiday", "no labels"});
  expect_message(message_of<InputError>([&] { data.labelled_split(true, "knn"); }), {"no test images"});
}

}  // namespace
}  // namespace kagami
