#include <gtest/gtest.h>

#include "engine/data/data.h"
#include "engine/error.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_bytes;

/// A record whose red, green and blue planes count up from 0, 1 and 2 (modulo 256).
std::string record(const std::string& label) {
  std::string bytes = label;
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(i + c);
  }
  return bytes;
}

void write_cifar10(const std::filesystem::path& folder) {
  for (char i = 1; i <= 5; ++i) {
    write_bytes(folder / ("data_batch_" + std::to_string(i) + ".bin"), record({i}) + record({'\0'}));
  }
  write_bytes(folder / "test_batch.bin", record("\x09"));
}

TEST(DataCifar, ReadsTheBinaryVersionOfCifar10) {
  const TemporaryFolder folder;
  write_cifar10(folder / "cifar-10-batches-bin");
  write_bytes(folder / "cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const Dataset data = open_data(folder.path().string());
  ASSERT_EQ(data.train.size(), 10);
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{1, 0, 2, 0, 3, 0, 4, 0, 5, 0}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{9}));
  EXPECT_EQ(data.class_names[9], "j");
  EXPECT_EQ(data.train.sources[2], "data_batch_2.bin:0");
  EXPECT_EQ(data.train.heights[3], 32);
  const auto pixels = data.train.image(3);
  ASSERT_EQ(pixels.size(), 3072U);
  for (int i = 0; i < 1024; ++i) {
    for (int c = 0; c < 3; ++c) ASSERT_EQ(pixels[3 * i + c], static_cast<std::uint8_t>(i + c));
  }
}

TEST(DataCifar, ReadsTheFineLabelsOfCifar100) {
  const TemporaryFolder folder;
  write_bytes(folder / "train.bin", record("\x05\x63"));
  write_bytes(folder / "test.bin", record("\x05\x07"));
  const Dataset data = open_data(folder.path().string());
  EXPECT_EQ(data.name, "cifar100");
  EXPECT_EQ(data.train.labels[0], 99);
  EXPECT_EQ(data.test.labels[0], 7);
  EXPECT_EQ(data.class_names.size(), 100U);
  EXPECT_EQ(data.train.image(0)[1], 1);
}

TEST(DataCifar, DamagedOrMissingFilesAreRefusedByName) {
  const TemporaryFolder folder;
  const auto refusal = [&] { return message_of<InputError>([&] { open_data(folder.path().string()); }); };
  write_cifar10(folder.path());
  std::filesystem::remove(folder / "data_batch_4.bin");
  expect_message(refusal(), {"data_batch_4.bin", "is missing"});
  write_bytes(folder / "data_batch_4.bin", record("\x01").substr(1));
  expect_message(refusal(), {"data_batch_4.bin", "3072 bytes", "multiple of 3073"});
  write_bytes(folder / "data_batch_4.bin", "");
  expect_message(refusal(), {"data_batch_4.bin", "0 bytes"});
  write_bytes(folder / "data_batch_4.bin", record("\x01") + record("\x0A"));
  expect_message(refusal(), {"data_batch_4.bin", "record 1", "label 10 of 10"});
}

}  // namespace
}  // namespace kagami
