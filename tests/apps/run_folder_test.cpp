#include "apps/support/run_folder.h"

#include <gtest/gtest.h>

#include "engine/error.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::apps {
namespace {

using test::content_of;
using test::message_of;
using test::TemporaryFolder;
using test::write_content;

std::string refused(const std::filesystem::path& folder, RunStart start) {
  return message_of<InputError>([&] { RunFolder run(folder, start); });
}

TEST(RunFolder, CreatesAndLocks) {
  const TemporaryFolder folder;
  const auto path = folder / "a/b";
  {
    const RunFolder run(path, RunStart::fresh);
    const std::string message = refused(path, RunStart::fresh);
    EXPECT_NE(message.find("is in use by process " + std::to_string(getpid())), std::string::npos) << message;
  }
  EXPECT_FALSE(std::filesystem::exists(path)) << "nothing was begun";
  EXPECT_EQ(refused(path, RunStart::fresh), "");
}

TEST(RunFolder, RefusesARunThatIsThere) {
  const TemporaryFolder folder;
  const auto path = folder / "run";
  RunFolder(path, RunStart::fresh).begin("epochs = 1\n");
  EXPECT_TRUE(RunFolder::holds_run(path));
  const std::string message = refused(path, RunStart::fresh);
  EXPECT_NE(message.find("--resume"), std::string::npos) << message;
  EXPECT_NE(message.find("--overwrite"), std::string::npos) << message;
  EXPECT_EQ(refused(path, RunStart::resume), "");
  EXPECT_EQ(content_of(path / "config.ini"), "epochs = 1\n");
}

TEST(RunFolder, OverwriteRemovesTheRunAndNothingElse) {
  const TemporaryFolder folder;
  const auto path = folder / "run";
  std::filesystem::create_directories(path / "notes");
  for (const char* name : {"config.ini", "log.jsonl", "checkpoint-3.safetensors", "notes.txt"})
    write_content(path / name, "x");
  RunFolder run(path, RunStart::overwrite);
  EXPECT_TRUE(std::filesystem::exists(path / "checkpoint-3.safetensors")) << "kept until the new run begins";
  run.begin("new\n");
  EXPECT_EQ(read_whole_file(path / "config.ini"), "new\n");
  EXPECT_FALSE(std::filesystem::exists(path / "log.jsonl"));
  EXPECT_FALSE(std::filesystem::exists(path / "checkpoint-3.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(path / "notes.txt"));
  EXPECT_TRUE(std::filesystem::exists(path / "notes"));
}

TEST(RunFolder, RefusesFoldersThatAreNoRuns) {
  const TemporaryFolder folder;
  write_content(folder / "thesis.tex", "x");
  for (const RunStart start : {RunStart::fresh, RunStart::overwrite})
    EXPECT_NE(refused(folder.path(), start).find("thesis.tex"), std::string::npos);
  EXPECT_NE(refused(folder / "thesis.tex", RunStart::fresh).find("is a file"), std::string::npos);
  EXPECT_NE(refused(folder / "thesis.tex/run", RunStart::fresh).find("cannot create"), std::string::npos);
  EXPECT_NE(refused(folder / "none", RunStart::resume).find("holds no run"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
  EXPECT_NE(refused("", RunStart::fresh).find("--out"), std::string::npos);
}

TEST(RunFolder, WholeFilesOrNone) {
  const TemporaryFolder folder;
  write_whole_file(folder / "a", "one");
  write_whole_file(folder / "a", "two");
  EXPECT_EQ(content_of(folder / "a"), "two");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.tmp"));
  const std::string message = message_of<InputError>([&] { write_whole_file(folder / "none/a", "x"); });
  EXPECT_NE(message.find("none/a"), std::string::npos);
}

}  // namespace
}  // namespace kagami::apps
