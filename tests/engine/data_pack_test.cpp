#include "engine/data/pack.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/data/data.h"
#include "engine/error.h"
#include "engine/safetensors.h"
#include "tests/engine/image_files.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;
using testing::read_bytes;
using testing::smooth_image;
using testing::TemporaryFolder;
using testing::write_bytes;

Dataset example() {
  Dataset data;
  data.name = "example";
  data.class_names = {"one", "two \"quoted\"", "\xC3\xA9t\xC3\xA9"};
  ImageSetBuilder train, test;
  for (int i = 0; i < 7; ++i) {
    train.add(smooth_image(1 + i, 2 + i, i), "train/" + std::to_string(i));
    train.add_label(i % 3);
  }
  test.add(smooth_image(4, 4, 9), "test/x");
  data.train = train.finish();
  data.test = test.finish();
  return data;
}

void expect_same(const ImageSet& a, const ImageSet& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(a.heights, b.heights);
  EXPECT_EQ(a.widths, b.widths);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.sources, b.sources);
  for (std::int64_t i = 0; i < a.size(); ++i) EXPECT_TRUE(std::ranges::equal(a.image(i), b.image(i))) << i;
}

TEST(DataPack, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const Dataset data = example();
  write_pack(data, folder / "a.safetensors");
  const Dataset again = open_data((folder / "a.safetensors").string(), {.verify = true});
  EXPECT_EQ(again.name, "example");
  EXPECT_EQ(again.class_names, data.class_names);
  expect_same(again.train, data.train);
  expect_same(again.test, data.test);
  EXPECT_FALSE(again.test.labelled());
}

TEST(DataPack, PacksOnlyTheImagesOfASubset) {
  const TemporaryFolder folder;
  Dataset data = example();
  const std::vector<std::int64_t> indices{5, 1};
  data.train = select(data.train, indices);
  data.test = {};
  write_pack(data, folder / "a.safetensors");
  const Dataset again = read_pack(folder / "a.safetensors");
  expect_same(again.train, data.train);
  EXPECT_EQ(static_cast<std::int64_t>(again.train.pixels.size()), (data.train.image_bytes() + 63) / 64 * 64);
  EXPECT_EQ(again.test.size(), 0);
}

TEST(DataPack, CutOrFlippedAnywhereIsRefusedOrReadable) {
  const TemporaryFolder folder;
  write_pack(example(), folder / "whole.safetensors");
  const std::string bytes = read_bytes(folder / "whole.safetensors");
  const auto path = folder / "damaged.safetensors";
  for (std::size_t cut = 0; cut < bytes.size(); cut += 7) {
    write_bytes(path, std::string_view(bytes).substr(0, cut));
    expect_message(message_of<InputError>([&] { read_pack(path); }), {"damaged.safetensors"});
  }
  for (std::size_t position = 0; position < bytes.size(); ++position) {
    std::string damaged = bytes;
    damaged[position] = static_cast<char>(damaged[position] ^ 0xFF);
    write_bytes(path, damaged);
    try {
      const Dataset data = read_pack(path);
      for (const ImageSet* set : {&data.train, &data.test}) {
        for (std::int64_t i = 0; i < set->size(); ++i) ASSERT_FALSE(set->image(i).empty());
      }
      EXPECT_THROW(read_pack(path, true), InputError) << position;
    } catch (const InputError& error) {
      expect_message(error.what(), {"damaged.safetensors"});
    }
  }
}

TEST(DataPack, OtherSafetensorsFilesAreRefused) {
  const TemporaryFolder folder;
  const std::vector<float> values{1};
  const std::vector<StoredTensor> tensors{store<float>("w", {1}, values)};
  write_safetensors(folder / "weights.safetensors", tensors);
  expect_message(message_of<InputError>([&] { open_data((folder / "weights.safetensors").string()); }),
                 {"not packed images", "kagami data pack"});
  write_safetensors(folder / "new.safetensors", tensors, {{"kagami.format", "images-9"}});
  expect_message(message_of<InputError>([&] { open_data((folder / "new.safetensors").string()); }), {"'images-9'"});
}

TEST(DataPack, AFolderPassedThroughGivesTheFileOfTheFolderInMemory) {
  const TemporaryFolder folder;
  for (int i = 0; i < 12; ++i) {
    const Image image = smooth_image(3 + i, 20 - i, i);
    const std::string name = std::string(i % 3 == 0 ? "images/a/" : "images/b/") + std::to_string(i);
    write_bytes(folder / (name + ".png"), testing::png_bytes(image));
  }
  write_bytes(folder / "images/b/broken.png", "text");
  write_bytes(folder / "images/notes.txt", "text");
  const std::string source = (folder / "images").string();
  const DataOptions options{.val_fraction = 0.25, .max_side = 12, .skip_unreadable = true};
  const Dataset in_memory = open_data(source, options);
  write_pack(in_memory, folder / "memory.safetensors");
  const Dataset packed = pack_data(source, folder / "passed.safetensors", options);
  EXPECT_EQ(read_bytes(folder / "memory.safetensors"), read_bytes(folder / "passed.safetensors"));
  expect_same(packed.train, in_memory.train);
  expect_same(packed.test, in_memory.test);
  EXPECT_EQ(packed.skipped, in_memory.skipped);
  EXPECT_EQ(packed.notes, in_memory.notes);
  EXPECT_EQ(packed.skipped.size(), 1U);
  EXPECT_EQ(packed.notes.size(), 1U);
}

TEST(DataPack, WhatFailsLeavesNoFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "images/a.png", testing::png_bytes(smooth_image(3, 3)));
  write_bytes(folder / "images/b.png", "text");
  EXPECT_THROW(pack_data((folder / "images").string(), folder / "out.safetensors"), InputError);
  EXPECT_EQ(folder.file_count(), 1U);
}

TEST(DataPack, PacksTheOtherSourcesToo) {
  const TemporaryFolder folder;
  const Dataset packed = pack_data("procedural:40", folder / "a.safetensors", {.max_side = 8});
  EXPECT_EQ(packed.train.size(), 40);
  EXPECT_EQ(packed.test.size(), 8);
  EXPECT_EQ(packed.train.max_side(), 8);
  expect_same(packed.train, open_data("procedural:40", {.max_side = 8}).train);
}

TEST(DataPack, ShrinksAndSplitsAPack) {
  const TemporaryFolder folder;
  Dataset data = example();
  data.test = {};
  write_pack(data, folder / "a.safetensors");
  const Dataset again = open_data((folder / "a.safetensors").string(), {.val_fraction = 0.4, .max_side = 3});
  EXPECT_EQ(again.train.size() + again.test.size(), 7);
  EXPECT_EQ(again.test.size(), 3);
  EXPECT_LE(again.train.max_side(), 3);
}

}  // namespace
}  // namespace kagami
