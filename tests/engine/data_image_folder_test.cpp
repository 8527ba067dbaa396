#include <gtest/gtest.h>

#include <algorithm>

#include "engine/data/data.h"
#include "engine/error.h"
#include "kernels/cpu/parallel.h"
#include "tests/engine/image_files.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::jpeg_bytes;
using testing::message_of;
using testing::png_bytes;
using testing::smooth_image;
using testing::TemporaryFolder;
using testing::write_bytes;
using Names = std::vector<std::string>;
using Labels = std::vector<std::int32_t>;

std::string refusal(const std::filesystem::path& path, const DataOptions& options = {}) {
  return message_of<InputError>([&] { open_data(path.string(), options); });
}

TEST(DataImageFolder, ClassFoldersBecomeLabels) {
  const TemporaryFolder folder;
  write_bytes(folder / "dog/b.png", png_bytes(smooth_image(3, 4, 1)));
  write_bytes(folder / "dog/a.JPG", jpeg_bytes(smooth_image(8, 9, 2)));
  write_bytes(folder / "cat/deep/er/z.jpeg", jpeg_bytes(smooth_image(5, 5, 3)));
  write_bytes(folder / "cat/.hidden.jpg", "nothing");
  const Dataset data = open_data(folder.path().string());
  EXPECT_EQ(data.class_names, (Names{"cat", "dog"}));
  EXPECT_EQ(data.train.sources, (Names{"cat/deep/er/z.jpeg", "dog/a.JPG", "dog/b.png"}));
  EXPECT_EQ(data.train.labels, (Labels{0, 1, 1}));
  EXPECT_EQ(data.train.heights, (Labels{5, 8, 3}));
  EXPECT_EQ(data.train.widths, (Labels{5, 9, 4}));
  EXPECT_TRUE(std::ranges::equal(data.train.image(2), smooth_image(3, 4, 1).pixels));
  EXPECT_EQ(data.test.size(), 0);
  EXPECT_TRUE(data.notes.empty());
}

TEST(DataImageFolder, FlatFoldersHaveNoLabelsAndByteOrder) {
  const TemporaryFolder folder;
  for (const char* name : {"b10.png", "b9.png", "B.png", "a.png"}) {
    write_bytes(folder / name, png_bytes(smooth_image(2, 2)));
  }
  const Dataset data = open_data(folder.path().string());
  EXPECT_EQ(data.train.sources, (Names{"B.png", "a.png", "b10.png", "b9.png"}));
  EXPECT_FALSE(data.train.labelled());
  EXPECT_TRUE(data.class_names.empty());
}

TEST(DataImageFolder, TrainAndTestAreSplits) {
  const TemporaryFolder folder;
  write_bytes(folder / "train/x/1.png", png_bytes(smooth_image(2, 2)));
  write_bytes(folder / "train/y/2.png", png_bytes(smooth_image(2, 2)));
  write_bytes(folder / "val/y/3.png", png_bytes(smooth_image(2, 2)));
  Dataset data = open_data(folder.path().string(), {.val_fraction = 0.5});
  EXPECT_EQ(data.train.labels, (Labels{0, 1}));
  EXPECT_EQ(data.test.labels, (Labels{1}));
  EXPECT_EQ(data.test.sources, (Names{"val/y/3.png"}));
  ASSERT_EQ(data.notes.size(), 1U);
  expect_message(data.notes[0], {"--val-fraction not used"});

  write_bytes(folder / "test/x/4.png", png_bytes(smooth_image(2, 2)));
  write_bytes(folder / "extra/5.png", png_bytes(smooth_image(2, 2)));
  data = open_data(folder.path().string());
  EXPECT_EQ(data.test.sources, (Names{"test/x/4.png"}));
  ASSERT_EQ(data.notes.size(), 2U);
  expect_message(data.notes[0], {"val", "since test/"});
  expect_message(data.notes[1], {"extra", "not a split"});

  write_bytes(folder / "test/unknown/6.png", png_bytes(smooth_image(2, 2)));
  expect_message(refusal(folder.path()), {"test/unknown", "no counterpart"});
}

TEST(DataImageFolder, UnlabelledTrainingWithLabelledTest) {
  const TemporaryFolder folder;
  write_bytes(folder / "train/1.png", png_bytes(smooth_image(2, 2)));
  write_bytes(folder / "test/x/2.png", png_bytes(smooth_image(2, 2)));
  const Dataset data = open_data(folder.path().string());
  EXPECT_FALSE(data.train.labelled());
  EXPECT_EQ(data.test.labels, (Labels{0}));
  EXPECT_EQ(data.class_names, (Names{"x"}));
}

TEST(DataImageFolder, AClassMayBeCalledTrain) {
  const TemporaryFolder folder;
  write_bytes(folder / "bus/1.png", png_bytes(smooth_image(2, 2)));
  write_bytes(folder / "train/2.png", png_bytes(smooth_image(2, 2)));
  EXPECT_EQ(open_data(folder.path().string()).class_names, (Names{"bus", "train"}));
}

TEST(DataImageFolder, ValFractionHoldsImagesOut) {
  const TemporaryFolder folder;
  for (int i = 0; i < 10; ++i) {
    write_bytes(folder / (std::string(i < 5 ? "a/" : "b/") + std::to_string(i) + ".png"),
                png_bytes(smooth_image(2, 2)));
  }
  const Dataset data = open_data(folder.path().string(), {.val_fraction = 0.2});
  EXPECT_EQ(data.train.size(), 8);
  EXPECT_EQ(data.test.labels, (Labels{0, 1}));
}

TEST(DataImageFolder, OtherFilesAreNoted) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.png", png_bytes(smooth_image(2, 2)));
  write_bytes(folder / "readme.txt", "text");
  write_bytes(folder / "b.webp", "RIFF");
  const Dataset data = open_data(folder.path().string());
  ASSERT_EQ(data.notes.size(), 1U);
  expect_message(data.notes[0], {"left out b.webp and 1 more"});
}

TEST(DataImageFolder, BadFoldersAreRefusedInOneLine) {
  const TemporaryFolder folder;
  expect_message(refusal(folder / "none"), {"none", "no such file or folder", "procedural"});
  expect_message(refusal(folder.path()), {"holds no JPEG or PNG"});
  write_bytes(folder / "a/notes.txt", "text");
  expect_message(refusal(folder.path()), {"class folder", "/a'", "remove it"});
  write_bytes(folder / "a/1.png", png_bytes(smooth_image(2, 2)));
  std::filesystem::create_directory(folder / "b");
  expect_message(refusal(folder.path()), {"class folder", "/b'"});
  std::filesystem::remove(folder / "b");
  write_bytes(folder / "2.png", png_bytes(smooth_image(2, 2)));
  expect_message(refusal(folder.path()), {"holds both images (2.png) and folders (a/)"});
  write_bytes(folder / "file.txt", "text");
  expect_message(refusal(folder / "file.txt"), {"neither a folder nor a packed"});
  expect_message(refusal(folder.path(), {.val_fraction = 1}), {"--val-fraction"});
}

TEST(DataImageFolder, ALinkToAFolderAboveEnds) {
  const TemporaryFolder folder;
  write_bytes(folder / "a/1.png", png_bytes(smooth_image(2, 2)));
  std::filesystem::create_directory_symlink("..", folder / "a/up");
  expect_message(refusal(folder.path()), {"nested more than"});
}

TEST(DataImageFolder, UnreadableFilesAreErrorsOrListed) {
  const TemporaryFolder folder;
  const std::string whole = jpeg_bytes(smooth_image(16, 16));
  write_bytes(folder / "a/1.jpg", whole);
  write_bytes(folder / "a/2.jpg", "a text file");
  write_bytes(folder / "b/3.jpg", whole.substr(0, whole.size() / 2));
  write_bytes(folder / "b/4.jpg", whole);
  expect_message(refusal(folder.path()), {"a/2.jpg", "neither a JPEG nor a PNG", "--skip-unreadable"});
  const Dataset data = open_data(folder.path().string(), {.skip_unreadable = true});
  EXPECT_EQ(data.train.sources, (Names{"a/1.jpg", "b/4.jpg"}));
  EXPECT_EQ(data.train.labels, (Labels{0, 1}));
  ASSERT_EQ(data.skipped.size(), 2U);
  expect_message(data.skipped[0], {"a/2.jpg", "neither"});
  expect_message(data.skipped[1], {"b/3.jpg", "Premature end"});
  std::filesystem::remove(folder / "a/1.jpg");
  std::filesystem::remove(folder / "b/4.jpg");
  expect_message(refusal(folder.path(), {.skip_unreadable = true}), {"none of the 2 images can be read"});
}

TEST(DataImageFolder, TheSameWithAnyNumberOfThreads) {
  const TemporaryFolder folder;
  for (int i = 0; i < 40; ++i) {
    write_bytes(folder / (std::to_string(i) + ".jpg"), jpeg_bytes(smooth_image(20 + i, 30, i)));
  }
  cpu::set_threads(1);
  const Dataset one = open_data(folder.path().string(), {.max_side = 24});
  cpu::set_threads(7);
  const Dataset seven = open_data(folder.path().string(), {.max_side = 24});
  cpu::set_threads(0);
  EXPECT_EQ(one.train.max_side(), 24);
  EXPECT_EQ(one.train.sources, seven.train.sources);
  EXPECT_TRUE(std::ranges::equal(one.train.pixels, seven.train.pixels));
}

TEST(DataImageFolder, ProgressReachesTheEnd) {
  const TemporaryFolder folder;
  for (int i = 0; i < 5; ++i) write_bytes(folder / (std::to_string(i) + ".png"), png_bytes(smooth_image(2, 2)));
  std::int64_t last = 0, total = 0;
  DataOptions options;
  options.progress = [&](std::int64_t done, std::int64_t all) {
    last = done;
    total = all;
  };
  open_data(folder.path().string(), options);
  EXPECT_EQ(last, 5);
  EXPECT_EQ(total, 5);
}

}  // namespace
}  // namespace kagami
