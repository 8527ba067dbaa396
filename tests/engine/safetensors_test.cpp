#include "engine/safetensors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <numeric>

#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

/// A file with any header, right or wrong.
std::string file_with(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + header + std::string(data_bytes, '\7');
}

std::string refusal(const std::filesystem::path& path) {
  return message_of<InputError>([&] { SafetensorsFile file(path); });
}

void write_example(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes{1, 2, 3, 4, 5};
  const std::vector<float> weights{1.5F, -2.0F, 0.25F, 1e-30F, 7.0F, 8.0F};
  const std::vector<std::int64_t> step{123456789012345};
  const std::vector<StoredTensor> tensors{store<std::uint8_t>("bytes", {5}, bytes),
                                          store<float>("layer.weight", {2, 3}, weights),
                                          store<std::int64_t>("step", {}, step), store<double>("empty", {0, 4}, {})};
  write_safetensors(path, tensors, {{"note", "two\nlines \"quoted\" \xC3\xA9"}, {"epoch", "3"}});
}

TEST(Safetensors, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  write_example(folder / "a.safetensors");
  const SafetensorsFile file(folder / "a.safetensors");
  EXPECT_EQ(file.tensors().size(), 4U);
  EXPECT_EQ(file.tensor("layer.weight").shape, (std::vector<std::int64_t>{2, 3}));
  const auto weights = file.values<float>("layer.weight");
  EXPECT_EQ(std::vector<float>(weights.begin(), weights.end()),
            (std::vector<float>{1.5F, -2.0F, 0.25F, 1e-30F, 7.0F, 8.0F}));
  EXPECT_EQ(file.values<std::int64_t>("step")[0], 123456789012345);
  EXPECT_EQ(file.values<std::uint8_t>("bytes")[4], 5);
  EXPECT_TRUE(file.values<double>("empty").empty());
  EXPECT_EQ(file.text_of("note"), "two\nlines \"quoted\" \xC3\xA9");
  EXPECT_EQ(file.metadata().size(), 2U);
  EXPECT_TRUE(file.has_checksum());
  file.verify();
}

TEST(Safetensors, DataIsContiguousAndAligned) {
  const TemporaryFolder folder;
  write_example(folder / "a.safetensors");
  const std::string bytes = read_bytes(folder / "a.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  EXPECT_EQ((8 + length) % 64, 0U);
  EXPECT_EQ(bytes.size(), 8 + length + 8 + 24 + 5);
}

TEST(Safetensors, TheSameContentGivesTheSameBytes) {
  const TemporaryFolder folder;
  write_example(folder / "a");
  write_example(folder / "b");
  EXPECT_EQ(read_bytes(folder / "a"), read_bytes(folder / "b"));
}

TEST(Safetensors, MemoryOutlivesTheFileObject) {
  const TemporaryFolder folder;
  write_example(folder / "a");
  std::shared_ptr<const void> memory;
  std::span<const float> weights;
  {
    const SafetensorsFile file(folder / "a");
    memory = file.memory();
    weights = file.values<float>("layer.weight");
  }
  EXPECT_EQ(weights[0], 1.5F);
}

TEST(Safetensors, CutAtAnyByteIsRefusedWithOneLineThatNamesTheFile) {
  const TemporaryFolder folder;
  write_example(folder / "whole");
  const std::string bytes = read_bytes(folder / "whole");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    write_bytes(folder / "cut", std::string_view(bytes).substr(0, cut));
    expect_message(refusal(folder / "cut"), {(folder / "cut").string()});
  }
  write_bytes(folder / "cut", bytes + "x");
  expect_message(refusal(folder / "cut"), {"1 bytes follow the last tensor"});
}

TEST(Safetensors, EveryFlippedByteIsRefusedOrReadOrFoundByTheChecksum) {
  const TemporaryFolder folder;
  write_example(folder / "whole");
  const std::string bytes = read_bytes(folder / "whole");
  int refused = 0;
  int checksum_found = 0;
  for (std::size_t position = 0; position < bytes.size(); ++position) {
    for (const unsigned char flip : {0x01, 0x20, 0x80, 0xFF}) {
      std::string damaged = bytes;
      damaged[position] = static_cast<char>(damaged[position] ^ flip);
      write_bytes(folder / "damaged", damaged);
      try {
        const SafetensorsFile file(folder / "damaged");
        for (const StoredTensor& tensor : file.tensors()) {
          const auto* data = static_cast<const unsigned char*>(tensor.data);
          ASSERT_GE(std::accumulate(data, data + tensor.bytes(), 0L), 0L);
        }
        try {
          file.verify();
        } catch (const InputError& error) {
          ++checksum_found;
          expect_message(error.what(), {"damaged", "checksum"});
        }
      } catch (const InputError& error) {
        ++refused;
        expect_message(error.what(), {"damaged"});
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(checksum_found, 100);
}

TEST(Safetensors, FlippedDataIsFoundByTheChecksum) {
  const TemporaryFolder folder;
  write_example(folder / "a");
  std::string bytes = read_bytes(folder / "a");
  bytes.back() ^= 1;
  write_bytes(folder / "a", bytes);
  const SafetensorsFile file(folder / "a");
  expect_message(message_of<InputError>([&] { file.verify(); }), {"checksum"});
}

TEST(Safetensors, WrongHeadersAreRefusedWithTheReason) {
  const TemporaryFolder folder;
  const struct {
    const char* header;
    std::size_t data_bytes;
    const char* reason;
  } cases[] = {
      {R"([])", 0, "does not start with '{'"},
      {R"({"a":)", 0, "not valid JSON"},
      {R"({"a":3})", 0, "not an object"},
      {R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "lacks 'dtype'"},
      {R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype 'F33'"},
      {R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", 4, "dtype is not a string"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "non-negative integer"},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "non-negative integer"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "needs 8 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "two rising numbers"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "two rising numbers"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "cut off"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4, "too large"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", 4, "too large"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4, "unknown fields"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "ends at 0"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 9, "5 bytes follow"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
       7, "'b' overlaps tensor 'a'"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})",
       6, "ends at 4"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       4, "'a' stands twice"},
      {R"({"__metadata__":{"k":1}})", 0, "'k' is not a string"},
      {R"({"__metadata__":[]})", 0, "not an object"},
  };
  for (const auto& c : cases) {
    write_bytes(folder / "f", file_with(c.header, c.data_bytes));
    expect_message(refusal(folder / "f"), {(folder / "f").string(), c.reason});
  }
  write_bytes(folder / "f", std::string(8, '\xFF') + "{}");
  expect_message(refusal(folder / "f"), {"give a header of", "not a safetensors file"});
}

TEST(Safetensors, ForeignFilesWithOtherTypesAndOddAlignmentAreRead) {
  const TemporaryFolder folder;
  const std::string header =
      R"({"h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"BOOL","shape":[1],"data_offsets":[2,3]},)"
      R"("w":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}})";
  std::string bytes = file_with(header, 11);
  const float values[2] = {3.5F, -1.25F};
  std::memcpy(bytes.data() + bytes.size() - sizeof values, values, sizeof values);
  write_bytes(folder / "f", bytes);
  const SafetensorsFile file(folder / "f");
  EXPECT_EQ(file.values<float>("w")[1], -1.25F);
  EXPECT_EQ(dtype_of_stored(file.tensor("h").type), std::nullopt);
  EXPECT_FALSE(file.has_checksum());
  file.verify();
  expect_message(message_of<InputError>([&] { file.values<float>("h"); }), {"'h' is F16, expected F32"});
  expect_message(message_of<InputError>([&] { file.tensor("nothing"); }), {"has no tensor 'nothing'"});
}

TEST(Safetensors, MissingFileAndFolderAreBadInput) {
  const TemporaryFolder folder;
  expect_message(refusal(folder / "none"), {"none", "No such file"});
  expect_message(refusal(folder.path()), {"not a regular file"});
}

TEST(Safetensors, WhatCannotBeWrittenIsRefused) {
  const TemporaryFolder folder;
  const std::vector<float> one{1};
  const std::vector<StoredTensor> twice{store<float>("a", {1}, one), store<float>("a", {1}, one)};
  expect_message(message_of<InputError>([&] { write_safetensors(folder / "f", twice); }), {"'a' stands for two"});
  expect_message(message_of<InputError>([&] { store<float>("a", {2}, one); }), {"'a' has 1 values", "holds 2"});
  EXPECT_EQ(folder.file_count(), 0U);
}

TEST(Safetensors, WritesTensorsOfUnknownSizePieceByPiece) {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3};
  {
    SafetensorsWriter writer(folder / "a", 1000);
    writer.begin("bytes", StoredType::u8);
    writer.append("abc", 3);
    writer.append("de", 2);
    writer.align(8);
    writer.end({writer.tensor_bytes()});
    writer.begin("values", StoredType::f32);
    writer.append(values.data(), 12);
    writer.end({3});
    writer.commit({{"note", "x"}});
  }
  const SafetensorsFile file(folder / "a");
  file.verify();
  EXPECT_TRUE(file.has_checksum());
  const auto bytes = file.values<std::uint8_t>("bytes");
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), std::string("abcde\0\0\0", 8));
  EXPECT_EQ(file.values<float>("values")[2], 3);
  EXPECT_EQ(file.text_of("note"), "x");
}

TEST(Safetensors, TheWriterRefusesWhatWouldBeAWrongFile) {
  const TemporaryFolder folder;
  expect_message(message_of<InputError>([&] {
                   SafetensorsWriter writer(folder / "a", 100);
                   writer.begin("bytes", StoredType::u8);
                   writer.append("abc", 3);
                   writer.end({3});
                   writer.begin("values", StoredType::f32);
                 }),
                 {"'values' of F32 would not be aligned"});
  expect_message(message_of<InputError>([&] {
                   SafetensorsWriter writer(folder / "a", 100);
                   writer.begin("bytes", StoredType::u8);
                   writer.append("abc", 3);
                   writer.end({4});
                 }),
                 {"'bytes' has 3 bytes, its shape holds 4"});
  expect_message(message_of<InputError>([&] {
                   SafetensorsWriter writer(folder / "a", 10);
                   writer.commit({{"note", std::string(200, 'x')}});
                 }),
                 {"the header needs"});
  EXPECT_THROW(SafetensorsWriter(folder / "a", 200'000'000), InputError);
  EXPECT_EQ(folder.file_count(), 0U);
}

TEST(Safetensors, AFullDiskLosesNothingAlreadyWritten) {
  const TemporaryFolder folder;
  write_example(folder / "a");
  const std::string before = read_bytes(folder / "a");
  const std::vector<float> large(100'000);
  rlimit limit_before{};
  getrlimit(RLIMIT_FSIZE, &limit_before);
  const rlimit limit{65'536, limit_before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  const std::vector<StoredTensor> tensors{store<float>("a", {100'000}, large)};
  const std::string message = message_of<std::runtime_error>([&] { write_safetensors(folder / "a", tensors); });
  setrlimit(RLIMIT_FSIZE, &limit_before);
  expect_message(message, {(folder / "a").string(), "larger than"});
  EXPECT_EQ(read_bytes(folder / "a"), before);
  EXPECT_EQ(folder.file_count(), 1U);
}

}  // namespace
}  // namespace kagami
