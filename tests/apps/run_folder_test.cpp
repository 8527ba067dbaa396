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
  const char* written[] = {"log.jsonl",
                           "checkpoint.safetensors",
                           "checkpoint.previous.safetensors",
                           "checkpoint.next.safetensors",
                           ".checkpoint.next.safetensors.77-0.tmp",
                           ".config.ini.77-0.tmp"};
  const char* foreign[] = {"notes.txt", "set.safetensors", "checkpoint-3.safetensors", ".other.tmp"};
  write_content(path / "config.ini", "x");
  for (const char* name : written) write_content(path / name, "x");
  for (const char* name : foreign) write_content(path / name, "x");
  RunFolder run(path, RunStart::overwrite);
  for (const char* name : written) EXPECT_TRUE(std::filesystem::exists(path / name)) << "kept until the new run begins";
  run.begin("new\n");
  EXPECT_EQ(read_whole_file(path / "config.ini"), "new\n");
  for (const char* name : written) EXPECT_FALSE(std::filesystem::exists(path / name)) << name;
  for (const char* name : foreign) EXPECT_TRUE(std::filesystem::exists(path / name)) << name;
  EXPECT_TRUE(std::filesystem::exists(path / "notes"));
}

TEST(RunFolder, AWithdrawnRunLeavesNoTrace) {
  const TemporaryFolder folder;
  {
    RunFolder run(folder / "run", RunStart::fresh);
    run.begin("epochs = 1\n");
    write_content(run.log(), "{}\n");
    run.withdraw();
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  RunFolder(folder / "run", RunStart::fresh).begin("epochs = 1\n");
  RunFolder(folder / "run", RunStart::overwrite).withdraw();  // nothing was begun
  EXPECT_TRUE(RunFolder::holds_run(folder / "run"));
}

TEST(RunFolder, AFolderWithAPackedSetOrACheckpointAloneIsNoPlaceForARun) {
  for (const char* name : {"set.safetensors", "checkpoint.safetensors", "log.jsonl"}) {
    const TemporaryFolder folder;
    write_content(folder / name, "x");
    for (const RunStart start : {RunStart::fresh, RunStart::overwrite})
      EXPECT_NE(refused(folder.path(), start).find(name), std::string::npos);
    EXPECT_EQ(content_of(folder / name), "x");
  }
}

TEST(RunFolder, WhatAKilledStartLeftIsNoObstacle) {
  const TemporaryFolder folder;
  write_content(folder / "lock", "77\n");
  write_content(folder / ".config.ini.77-0.tmp", "epo");
  EXPECT_EQ(refused(folder.path(), RunStart::fresh), "");
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
