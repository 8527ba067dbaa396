// A run that was stopped, however it was stopped, ends as if nothing had happened.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <random>

#include "engine/checkpoint.h"
#include "tests/apps/small_run.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::test {
namespace {

class Resume : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    whole_ = kagami(folder_->path(), small_run("whole"));
  }
  static void TearDownTestSuite() { delete folder_; }
  void SetUp() override { ASSERT_EQ(whole_.code, 0) << whole_.err; }

  static const std::filesystem::path& folder() { return folder_->path(); }
  static void expect_same_as_whole(const std::string& run) {
    const auto expected = checkpoint_tensors(folder() / "whole"), found = checkpoint_tensors(folder() / run);
    ASSERT_GT(expected.size(), 3U);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, bytes] : expected) EXPECT_TRUE(found.at(name) == bytes) << name << " differs";
    const auto losses = logged(folder() / "whole", "loss");
    EXPECT_EQ(losses.size(), static_cast<std::size_t>(small_run_steps));
    EXPECT_EQ(logged(folder() / run, "loss"), losses);
    EXPECT_EQ(logged(folder() / run, "knn"), logged(folder() / "whole", "knn"));
  }

 private:
  static TemporaryFolder* folder_;
  static Outcome whole_;
};
TemporaryFolder* Resume::folder_ = nullptr;
Outcome Resume::whole_;

TEST_F(Resume, KilledAtARandomMomentEndsWithTheSameBits) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 3; ++round) {
    const std::string run = "killed" + std::to_string(round);
    std::vector<std::string> arguments = small_run(run);
    for (int kill = 0; kill < 3; ++kill) {
      Running process(folder(), arguments);
      const int lines = std::uniform_int_distribution<int>(1, small_run_steps)(random);
      process.wait_for_lines(folder() / run / "log.jsonl", lines);
      process.send(SIGKILL);
      const Outcome outcome = process.wait();
      if (outcome.signal != SIGKILL) {
        EXPECT_EQ(outcome.code, 0) << outcome.err;  // it was quicker
      }
      arguments = {"pretrain", "--resume", "--out", run};
    }
    const Outcome resumed = kagami(folder(), arguments);
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    expect_same_as_whole(run);
  }
}

TEST_F(Resume, CtrlCSavesAndExits) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string run = "stopped" + std::to_string(signal);
    Running process(folder(), small_run(run));
    process.wait_for_lines(folder() / run / "log.jsonl", 10);
    process.send(signal);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.code, 128 + signal) << outcome.err;
    EXPECT_NE(outcome.out.find("kagami pretrain --resume --out " + run), std::string::npos) << outcome.out;
    EXPECT_LT(logged(folder() / run, "loss").size(), static_cast<std::size_t>(small_run_steps));
    const Outcome resumed = kagami(folder(), {"pretrain", "--resume", "--out", run, "--threads", "2"});
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    expect_same_as_whole(run);
  }
}

TEST_F(Resume, TheSameCommandWithResumeGoesOn) {
  Running process(folder(), small_run("again"));
  process.wait_for_lines(folder() / "again/log.jsonl", 9);
  process.send(SIGINT);
  process.wait();
  const Outcome resumed = kagami(folder(), small_run("again", {"--resume"}));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  expect_same_as_whole("again");
  const Outcome finished = kagami(folder(), small_run("again", {"--resume"}));
  EXPECT_EQ(finished.code, 0) << finished.err;
  expect_same_as_whole("again");
}

TEST_F(Resume, OptionsThatDecideTheNumbersCannotChange) {
  const Outcome outcome = kagami(folder(), small_run("whole", {"--resume", "--lr", "0.123"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(one_line(outcome.err)) << outcome.err;
  EXPECT_NE(outcome.err.find("--lr"), std::string::npos) << outcome.err;
}

TEST_F(Resume, OtherImagesAreRefusedAndTheSameOnesPackedAreTaken) {
  const auto pack = [](const std::string& data, const std::string& out) {
    return kagami(folder(), {"data", "pack", "--data", data, "--out", out}).code;
  };
  ASSERT_EQ(pack("procedural:120", "same.safetensors"), 0);
  ASSERT_EQ(pack("procedural:121", "other.safetensors"), 0);
  const std::vector<std::string> resume{"pretrain", "--resume", "--out", "whole", "--data"};
  const auto with = [&](const std::string& data) {
    std::vector<std::string> arguments = resume;
    arguments.push_back(data);
    return kagami(folder(), arguments);
  };
  const Outcome other = with("other.safetensors");  // as many steps an epoch
  EXPECT_EQ(other.code, 2);
  EXPECT_TRUE(one_line(other.err)) << other.err;
  EXPECT_NE(other.err.find("--data"), std::string::npos) << other.err;
  const Outcome same = with("same.safetensors");
  EXPECT_EQ(same.code, 0) << same.err;
}

TEST_F(Resume, ASecondProcessIsKeptOut) {
  std::vector<std::string> arguments = small_run("busy");
  *std::next(std::find(arguments.begin(), arguments.end(), "--epochs")) = "10000";
  Running process(folder(), arguments);
  process.wait_for_lines(folder() / "busy/log.jsonl", 1);
  const Outcome second = kagami(folder(), {"pretrain", "--resume", "--out", "busy"});
  EXPECT_EQ(second.code, 2);
  EXPECT_TRUE(one_line(second.err)) << second.err;
  EXPECT_NE(second.err.find("is in use by process"), std::string::npos) << second.err;
  process.send(SIGINT);
  EXPECT_EQ(process.wait().code, 128 + SIGINT);
}

TEST_F(Resume, ADamagedCheckpointIsNamedAndThePreviousOffered) {
  ASSERT_EQ(kagami(folder(), small_run("damaged")).code, 0);
  const std::filesystem::path file = checkpoint_path(folder() / "damaged");
  const std::string whole = content_of(file);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{4}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_content(file, whole.substr(0, size));
    const Outcome outcome = kagami(folder(), {"pretrain", "--resume", "--out", "damaged"});
    EXPECT_EQ(outcome.code, 2) << size;
    EXPECT_TRUE(one_line(outcome.err)) << outcome.err;
    EXPECT_NE(outcome.err.find("checkpoint.safetensors"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("--previous-checkpoint"), std::string::npos) << outcome.err;
  }
  const Outcome previous = kagami(folder(), {"pretrain", "--resume", "--previous-checkpoint", "--out", "damaged"});
  ASSERT_EQ(previous.code, 0) << previous.err;
  expect_same_as_whole("damaged");
}

}  // namespace
}  // namespace kagami::test
