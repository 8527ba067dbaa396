#include <gtest/gtest.h>
#include <zlib.h>

#include "engine/data/data.h"
#include "engine/error.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_bytes;

std::string idx(std::initializer_list<int> sizes, const std::string& values) {
  std::string bytes{'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const int size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  return bytes + values;
}

void write_gzip(const std::filesystem::path& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

std::string refusal(const TemporaryFolder& folder) {
  return message_of<InputError>([&] { open_data(folder.path().string()); });
}

TEST(DataIdx, ReadsImagesAndLabels) {
  const TemporaryFolder folder;
  write_bytes(folder / "train-images-idx3-ubyte", idx({2, 2, 3}, "abcdefghijkl"));
  write_bytes(folder / "train-labels-idx1-ubyte", idx({2}, std::string("\x02\x00", 2)));
  write_bytes(folder / "t10k-images.idx3-ubyte", idx({1, 2, 3}, "ABCDEF"));
  write_bytes(folder / "t10k-labels.idx1-ubyte", idx({1}, "\x01"));
  const Dataset data = open_data(folder.path().string());
  ASSERT_EQ(data.train.size(), 2);
  EXPECT_EQ(data.train.heights[0], 2);
  EXPECT_EQ(data.train.widths[0], 3);
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"0", "1", "2"}));
  const auto pixels = data.train.image(1);
  EXPECT_EQ(std::string(pixels.begin(), pixels.end()), "ggghhhiiijjjkkklll");
}

TEST(DataIdx, ReadsCompressedFilesInTheFolderOfTorchvision) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "MNIST/raw");
  write_gzip(folder / "MNIST/raw/train-images-idx3-ubyte.gz", idx({2, 1, 1}, "ab"));
  const Dataset data = open_data(folder.path().string());
  EXPECT_EQ(data.train.image(1)[0], 'b');
  EXPECT_FALSE(data.train.labelled());
  EXPECT_EQ(data.test.size(), 0);
}

TEST(DataIdx, CutAtAnyByteIsRefused) {
  const TemporaryFolder folder;
  const std::string whole = idx({2, 2, 2}, "abcdefgh");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    write_bytes(folder / "train-images-idx3-ubyte", whole.substr(0, cut));
    expect_message(refusal(folder), {"train-images-idx3-ubyte"});
  }
  write_bytes(folder / "train-images-idx3-ubyte", whole + "x");
  expect_message(refusal(folder), {"more data than its header says"});
  write_gzip(folder / "whole.gz", whole);
  const std::string compressed = testing::read_bytes(folder / "whole.gz");
  std::filesystem::remove(folder / "train-images-idx3-ubyte");
  for (std::size_t cut = 0; cut < compressed.size(); ++cut) {
    write_bytes(folder / "train-images-idx3-ubyte.gz", compressed.substr(0, cut));
    expect_message(refusal(folder), {"train-images-idx3-ubyte.gz"});
  }
}

TEST(DataIdx, WrongFilesAreRefusedWithTheReason) {
  const TemporaryFolder folder;
  write_bytes(folder / "train-images-idx3-ubyte", idx({4}, "abcd"));
  expect_message(refusal(folder), {"not an IDX file of bytes with 3 dimension(s)"});
  write_bytes(folder / "train-images-idx3-ubyte", idx({-1, -1, -1}, "abcd"));
  expect_message(refusal(folder), {"claims a size that cannot be"});
  write_bytes(folder / "train-images-idx3-ubyte", idx({0, 2, 2}, ""));
  expect_message(refusal(folder), {"claims a size that cannot be"});
  write_bytes(folder / "train-images-idx3-ubyte", idx({2, 1, 1}, "ab"));
  write_bytes(folder / "train-labels-idx1-ubyte", idx({3}, std::string(3, '\1')));
  expect_message(refusal(folder), {"do not belong together", "2 images, 3 labels"});
}

}  // namespace
}  // namespace kagami
