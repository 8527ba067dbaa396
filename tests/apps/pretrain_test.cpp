// kagami pretrain: what it writes, what it refuses.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/data/png.h"
#include "tests/apps/small_run.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::test {
namespace {

/// `count` images of noise in a folder without classes.
void write_unlabelled(const std::filesystem::path& folder, int count) {
  std::filesystem::create_directories(folder);
  std::vector<std::uint8_t> pixels(32 * 32 * 3);
  for (int i = 0; i < count; ++i) {
    for (std::size_t p = 0; p < pixels.size(); ++p)
      pixels[p] = static_cast<std::uint8_t>((p * 31 + p * p * (i + 7)) >> 3);
    write_png(folder / ("image" + std::to_string(100 + i) + ".png"), pixels, 32, 32);
  }
}

/// The arguments with the value of one option replaced.
std::vector<std::string> with(std::vector<std::string> arguments, const std::string& option, const std::string& value) {
  const auto at = std::find(arguments.begin(), arguments.end(), option);
  if (at == arguments.end()) {
    arguments.push_back(option);
    arguments.push_back(value);
  } else {
    *std::next(at) = value;
  }
  return arguments;
}

/// How often `part` occurs.
int occurrences(const std::string& all, const std::string& part) {
  int count = 0;
  for (std::size_t at = all.find(part); at != std::string::npos; at = all.find(part, at + 1)) ++count;
  return count;
}

TEST(Pretrain, TheLastStepOfAnEpochIsShownOnce) {
  const TemporaryFolder folder;
  const Outcome run = kagami(folder.path(), with(small_run("a", {"--probe-every", "7"}), "--knn-every", "1"));
  ASSERT_EQ(run.code, 0) << run.err;
  for (const char* step : {"step 7/28 ", "step 14/28 ", "step 21/28 ", "step 28/28 "})
    EXPECT_EQ(occurrences(run.out, step), 1) << step << " in\n" << run.out;
  EXPECT_EQ(logged(folder / "a", "probe_rank").size(), 5U);
  const Outcome silent = kagami(folder.path(), small_run("b", {"--probe-images", "0"}));
  ASSERT_EQ(silent.code, 0) << silent.err;
  EXPECT_TRUE(logged(folder / "b", "probe_rank").empty());
  auto watched = checkpoint_tensors(folder / "a");
  EXPECT_EQ(watched.erase("run.initial_rank"), 1U);
  EXPECT_TRUE(watched == checkpoint_tensors(folder / "b")) << "the probe changed the run";
}

TEST(Pretrain, WritesTheRunAndRepeatsFromItsConfig) {
  const TemporaryFolder folder;
  const Outcome first = kagami(folder.path(), small_run("a"));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.err, "");
  for (const char* part : {"Predicted:", "of memory", "leaves out 8 of 120 images", "Done: a"})
    EXPECT_NE(first.out.find(part), std::string::npos) << part << " is missing from\n" << first.out;
  const std::string config = content_of(folder / "a/config.ini");
  for (const char* part : {"# Kagami ", "commit", "learning rate: ", "epochs = 4", "data = procedural:120",
                           "cpu = ", "seed = 1", "crop-scale-min = "})
    EXPECT_NE(config.find(part), std::string::npos) << part << " is missing from\n" << config;
  EXPECT_EQ(logged(folder / "a", "loss").size(), static_cast<std::size_t>(small_run_steps));
  EXPECT_EQ(logged(folder / "a", "mean_loss").size(), 4U);
  EXPECT_EQ(logged(folder / "a", "knn").size(), 2U);
  EXPECT_EQ(logged(folder / "a", "probe_rank").size(), 2U);  // before the first step and after the last

  const Outcome second =
      kagami(folder.path(), {"pretrain", "--recipe", "a/config.ini", "--threads", "2", "--out", "b"});
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_TRUE(checkpoint_tensors(folder / "a") == checkpoint_tensors(folder / "b")) << "two threads changed the bits";
  EXPECT_EQ(logged(folder / "a", "loss"), logged(folder / "b", "loss"));
  const Outcome other = kagami(folder.path(), {"pretrain", "--recipe", "a/config.ini", "--seed", "2", "--out", "c"});
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_FALSE(checkpoint_tensors(folder / "a") == checkpoint_tensors(folder / "c"));
}

TEST(Pretrain, ARunThatIsThereIsKept) {
  const TemporaryFolder folder;
  ASSERT_EQ(kagami(folder.path(), small_run("a")).code, 0);
  const auto before = checkpoint_tensors(folder / "a");
  const Outcome refused = kagami(folder.path(), with(small_run("a"), "--seed", "9"));
  EXPECT_EQ(refused.code, 2);
  EXPECT_TRUE(one_line(refused.err)) << refused.err;
  for (const char* part : {"--resume", "--overwrite"})
    EXPECT_NE(refused.err.find(part), std::string::npos) << refused.err;
  EXPECT_TRUE(checkpoint_tensors(folder / "a") == before);
  // A call that cannot work removes nothing either.
  EXPECT_EQ(kagami(folder.path(), with(small_run("a", {"--overwrite"}), "--data", "none")).code, 2);
  EXPECT_EQ(kagami(folder.path(), with(small_run("a", {"--overwrite"}), "--batch", "500")).code, 2);
  EXPECT_TRUE(checkpoint_tensors(folder / "a") == before);
  const Outcome replaced = kagami(folder.path(), with(small_run("a", {"--overwrite"}), "--seed", "9"));
  EXPECT_EQ(replaced.code, 0) << replaced.err;
  EXPECT_FALSE(checkpoint_tensors(folder / "a") == before);
}

TEST(Pretrain, LabelsAreNotNeeded) {
  const TemporaryFolder folder;
  write_unlabelled(folder / "images", 40);
  const Outcome outcome = kagami(folder.path(), with(small_run("a"), "--data", "images"));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(logged(folder / "a", "knn").empty());
  const Outcome knn = kagami(folder.path(), {"knn", "--run", "a"});
  EXPECT_EQ(knn.code, 2);
  EXPECT_TRUE(one_line(knn.err)) << knn.err;
}

TEST(Pretrain, APathWithACommentSignComesBackFromItsConfig) {
  const TemporaryFolder folder;
  write_unlabelled(folder / "photos #1 ;new", 40);
  ASSERT_EQ(kagami(folder.path(), with(small_run("a"), "--data", "photos #1 ;new")).code, 0);
  const Outcome embed = kagami(folder.path(), {"embed", "--run", "a", "--out", "f.npy"});
  EXPECT_EQ(embed.code, 0) << embed.err;
  const Outcome resumed = kagami(folder.path(), {"pretrain", "--resume", "--out", "a"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
}

TEST(Pretrain, ARunIsUsedFromAnotherFolderAndComputesAsThatMachineDoes) {
  const TemporaryFolder folder;
  write_unlabelled(folder / "images", 40);
  std::vector<std::string> arguments = with(with(small_run("a"), "--data", "images"), "--threads", "0");
  ASSERT_EQ(kagami(folder.path(), arguments).code, 0);
  std::filesystem::create_directories(folder / "elsewhere");
  const Outcome embed = kagami(folder / "elsewhere", {"embed", "--run", "../a", "--out", "f.npy"});
  EXPECT_EQ(embed.code, 0) << embed.err;
  const std::string config = content_of(folder / "a/config.ini");
  for (const char* part : {"data = /", "threads = 0\n", "cpu = auto\n", " kernels, "})
    EXPECT_NE(config.find(part), std::string::npos) << part << " is missing from\n" << config;
}

TEST(Pretrain, AReaderThatGoesAwayDoesNotStopIt) {
  const TemporaryFolder folder;
  const Outcome outcome = kagami(folder.path(), small_run("a"), {.closed_output = true});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(logged(folder / "a", "loss").size(), static_cast<std::size_t>(small_run_steps));
}

TEST(Pretrain, RunsOnBaselineInstructions) {
  const TemporaryFolder folder;
  const Outcome outcome = kagami(folder.path(), small_run("a", {"--cpu", "baseline", "--conv", "direct"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(content_of(folder / "a/config.ini").find("cpu = baseline"), std::string::npos);
}

TEST(Pretrain, AFullDiskIsNamedAndTheLastCheckpointIsSafe) {
  const TemporaryFolder folder;
  ASSERT_EQ(kagami(folder.path(), with(small_run("a"), "--epochs", "2")).code, 0);
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(folder / "a/checkpoint.safetensors"));
  const Outcome first = kagami(folder.path(), small_run("b"), {.file_bytes = size / 2});
  EXPECT_EQ(first.code, 1);
  EXPECT_TRUE(one_line(first.err)) << first.err;
  EXPECT_NE(first.err.find("checkpoint.next.safetensors"), std::string::npos) << first.err;
  EXPECT_NE(first.err.find("no checkpoint was written yet"), std::string::npos) << first.err;
  // With room for the checkpoint and not for a long log: the log fails, the checkpoint stays.
  const std::int64_t room = size + size / 8;
  const Outcome second = kagami(folder.path(), with(small_run("c"), "--epochs", "3000"), {.file_bytes = room});
  EXPECT_EQ(second.code, 1);
  EXPECT_TRUE(one_line(second.err)) << second.err;
  EXPECT_NE(second.err.find("log.jsonl"), std::string::npos) << second.err;
  EXPECT_NE(second.err.find("--resume"), std::string::npos) << second.err;
  EXPECT_GT(checkpoint_tensors(folder / "c").size(), 3U);
}

TEST(Pretrain, AFailureBeforeTheFirstStepLeavesTheWayFree) {
  const TemporaryFolder folder;
  const Outcome failed = kagami(folder.path(), with(small_run("a"), "--temperature", "1e-42"));
  EXPECT_EQ(failed.code, 1) << failed.out;
  EXPECT_TRUE(one_line(failed.err)) << failed.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
}

TEST(Pretrain, FewLabelledImagesAreEnough) {
  const TemporaryFolder folder;
  for (const char* name : {"images/a", "images/b"}) write_unlabelled(folder / name, 8);
  std::vector<std::string> few = with(with(small_run("a"), "--data", "images"), "--batch", "4");
  EXPECT_NE(kagami(folder.path(), few).out.find("no test split (--val-fraction"), std::string::npos);
  few = with(with(few, "--val-fraction", "0.01"), "--out", "b");
  const Outcome held_out = kagami(folder.path(), few);
  EXPECT_EQ(held_out.code, 0) << held_out.err;
  EXPECT_EQ(logged(folder / "b", "knn").size(), 2U);
  const Outcome knn = kagami(folder.path(), {"knn", "--run", "b"});
  EXPECT_EQ(knn.code, 0) << knn.err;
  EXPECT_NE(knn.out.find("k = 14, "), std::string::npos) << knn.out;
}

TEST(Pretrain, BadInputIsOneLineAndACode) {
  const TemporaryFolder folder;
  write_content(folder / "bad.ini", "epochs = 3\nbtach = 7\n");
  std::filesystem::create_directories(folder / "empty");
  struct Case {
    std::vector<std::string> arguments;
    const char* said;
  };
  const Case cases[] = {
      {{"pretrain", "--data", "procedural:120"}, "--out is missing"},
      {{"pretrain", "--out", "a"}, "--data is missing"},
      {with(small_run("a"), "--data", "none"), "'none'"},
      {with(small_run("a"), "--data", "empty"), "empty"},
      {with(small_run("a"), "--batch", "121"), "batch"},
      {with(small_run("a"), "--batch", "1"), "--batch"},
      {with(small_run("a"), "--micro-batch", "1"), "micro-batch"},
      {with(small_run("a"), "--warmup-epochs", "4"), "give --warmup-epochs 0.4"},
      {with(small_run("a"), "--momentum", "1"), "--momentum"},
      {with(small_run("a"), "--projector-layers", "9"), "--projector-layers"},
      {with(small_run("a"), "--method", "simlcr"), "did you mean 'simclr'?"},
      {with(small_run("a"), "--arch", "resnet81"), "resnet81"},
      {with(small_run("a"), "--augmentation", "simclr-cfar"), "simclr-cfar"},
      {with(small_run("a"), "--epohcs", "3"), "did you mean '--epochs'?"},
      {with(small_run("a"), "--lr", "fast"), "--lr"},
      {with(small_run("a"), "--temperature", "0"), "--temperature"},
      {with(small_run("a"), "--crop-scale-min", "7"), "crop-scale-min"},
      {with(small_run("a"), "--recipe", "bad.ini"), "bad.ini:2: unknown key 'btach'; did you mean 'batch'?"},
      {with(small_run("a"), "--recipe", "none.ini"), "none.ini"},
      {small_run("none", {"--resume"}), "holds no run"},
      {small_run("a", {"--resume", "--overwrite"}), "exclude each other"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = kagami(folder.path(), c.arguments);
    EXPECT_EQ(outcome.code, 2) << c.said << ": " << outcome.err;
    EXPECT_TRUE(one_line(outcome.err)) << c.said << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(c.said), std::string::npos) << c.said << ": " << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "a")) << c.said << ": left a folder behind";
  }
}

}  // namespace
}  // namespace kagami::test
