// kagami data and kagami info, through the program.
#include <gtest/gtest.h>

#include "tests/apps/program.h"
#include "tests/apps/temporary_folder.h"
#include "tests/engine/image_files.h"

namespace kagami::test {
namespace {

TEST(DataCommand, PacksAndShowsWhatItPacked) {
  const TemporaryFolder folder;
  const Outcome pack = kagami(folder.path(), {"data", "pack", "--data", "procedural:50", "--out", "p.safetensors"});
  EXPECT_EQ(pack.code, 0) << pack.err;
  EXPECT_NE(pack.out.find("50 training and 10 test images, 10 classes"), std::string::npos) << pack.out;
  const Outcome info = kagami(folder.path(), {"info", "p.safetensors"});
  EXPECT_EQ(info.code, 0) << info.err;
  for (const char* part : {"checksum right", "train.pixels", "U8", "kagami.classes"})
    EXPECT_NE(info.out.find(part), std::string::npos) << part;
}

TEST(DataCommand, DrawsViews) {
  const TemporaryFolder folder;
  const Outcome preview = kagami(
      folder.path(), {"data", "preview", "--data", "procedural:20", "--out", "v.png", "--images", "3", "--views", "4"});
  EXPECT_EQ(preview.code, 0) << preview.err;
  EXPECT_EQ(content_of(folder / "v.png").substr(1, 3), "PNG");
  EXPECT_NE(preview.out.find("3 images, 4 views"), std::string::npos) << preview.out;
}

TEST(DataCommand, APackCutAnywhereIsRefused) {
  const TemporaryFolder folder;
  kagami(folder.path(), {"data", "pack", "--data", "procedural:20", "--out", "p.safetensors"});
  const std::string whole = content_of(folder / "p.safetensors");
  ASSERT_GT(whole.size(), 10000U);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{9},
                                 std::size_t{300}, std::size_t{5000}, whole.size() / 2, whole.size() - 1}) {
    write_content(folder / "cut.safetensors", whole.substr(0, size));
    const Outcome info = kagami(folder.path(), {"info", "cut.safetensors"});
    EXPECT_EQ(info.code, 2) << size;
    EXPECT_TRUE(one_line(info.err)) << info.err;
    EXPECT_NE(info.err.find("cut.safetensors"), std::string::npos) << info.err;
  }
  std::string flipped = whole;
  flipped[whole.size() - 100] ^= 1;
  write_content(folder / "flipped.safetensors", flipped);
  EXPECT_EQ(kagami(folder.path(), {"info", "flipped.safetensors"}).code, 2);
}

struct BadCall {
  const char* name;
  std::vector<std::string> arguments;
  int code;
  const char* said;
};

TEST(DataCommand, BadInputIsOneLineAndACode) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "empty");
  std::filesystem::create_directories(folder / "texts");
  write_content(folder / "texts/a.jpg", "not an image");
  write_content(folder / "notes.txt", "hello");
  const std::string jpeg = ::kagami::testing::jpeg_bytes(::kagami::testing::smooth_image(40, 40));
  write_content(folder / "cut/class/b.jpg", jpeg.substr(0, jpeg.size() / 2));
  const BadCall calls[] = {
      {"missing path", {"data", "pack", "--data", "none", "--out", "a.safetensors"}, 2, "none"},
      {"empty folder", {"data", "pack", "--data", "empty", "--out", "a.safetensors"}, 2, "empty"},
      {"text named .jpg", {"data", "pack", "--data", "texts", "--out", "a.safetensors"}, 2, "a.jpg"},
      {"truncated JPEG", {"data", "pack", "--data", "cut", "--out", "a.safetensors"}, 2, "b.jpg"},
      {"no data", {"data", "pack", "--out", "a.safetensors"}, 2, "--data is missing"},
      {"no output", {"data", "pack", "--data", "procedural:20"}, 2, "--out is missing"},
      {"no output", {"data", "preview", "--data", "procedural:20"}, 2, "--out is missing"},
      {"wrong ending", {"data", "pack", "--data", "procedural:20", "--out", "a.zip"}, 2, ".safetensors"},
      {"no such folder", {"data", "pack", "--data", "procedural:20", "--out", "none/a.safetensors"}, 2, "none/"},
      {"file is no set", {"data", "pack", "--data", "notes.txt", "--out", "a.safetensors"}, 2, "notes.txt"},
      {"unknown action", {"data", "pakc"}, 2, "did you mean 'pack'?"},
      {"unknown option", {"data", "pack", "--dta", "x"}, 2, "did you mean '--data'?"},
      {"unknown policy",
       {"data", "preview", "--data", "procedural:20", "--augmentation", "simclr-cfar", "--out", "v.png"},
       2,
       "did you mean 'simclr-cifar'?"},
      {"unknown instruction set",
       {"data", "preview", "--data", "procedural:20", "--cpu", "avx3", "--out", "v.png"},
       2,
       "--cpu"},
      {"no file", {"info", "none.safetensors"}, 2, "none.safetensors"},
      {"folder without a run", {"info", "empty"}, 2, "empty"},
  };
  for (const BadCall& call : calls) {
    const Outcome outcome = kagami(folder.path(), call.arguments);
    EXPECT_EQ(outcome.code, call.code) << call.name << ": " << outcome.err;
    EXPECT_TRUE(one_line(outcome.err)) << call.name << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(call.said), std::string::npos) << call.name << ": " << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "a.safetensors")) << call.name;
  }
}

TEST(DataCommand, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_content(folder / "p.safetensors", "the old file");
  const Outcome outcome = kagami(folder.path(), {"data", "pack", "--data", "procedural:200", "--out", "p.safetensors"},
                                 {.file_bytes = 50000});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(one_line(outcome.err)) << outcome.err;
  EXPECT_NE(outcome.err.find("p.safetensors"), std::string::npos) << outcome.err;
  EXPECT_EQ(content_of(folder / "p.safetensors"), "the old file");
}

}  // namespace
}  // namespace kagami::test
