#include "ssl/pretrain.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "engine/checkpoint.h"
#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"

namespace kagami {
namespace {

namespace fs = std::filesystem;

/// Noisy 8 x 8 images of four colours, labelled by colour.
ImageSet colours(int count, std::uint32_t salt, bool labelled) {
  ImageSetBuilder builder;
  for (int i = 0; i < count; ++i) {
    Philox random(1, Purpose::test, salt, static_cast<std::uint32_t>(i), 0);
    const int label = i % 4;
    std::vector<std::uint8_t> pixels;
    for (int p = 0; p < 64; ++p)
      for (int c = 0; c < 3; ++c)
        pixels.push_back(static_cast<std::uint8_t>((label >> (c % 2) & 1 ? 170 : 40) + random.below(40)));
    builder.add(pixels, 8, 8, text("image ", i));
    if (labelled) builder.add_label(label);
  }
  return builder.finish();
}

Dataset small_data(bool labelled = true) {
  Dataset data;
  data.name = "colours";
  if (labelled) data.class_names = {"a", "b", "c", "d"};
  data.train = colours(70, 1, labelled);
  data.test = colours(20, 2, labelled);
  return data;
}

PretrainConfig small_config() {
  PretrainConfig config;
  method_info("simclr").defaults(config);
  config.arch = "mlp";
  config.width = 16;
  config.projector_hidden = 16;
  config.projector_dim = 8;
  config.projector_output_bn = "fixed";
  config.batch = 16;  // four steps an epoch, six images left out
  config.epochs = 3;
  config.warmup_epochs = 1;
  config.optimizer = "sgd";
  config.lr = 0.05;
  config.knn.k = 5;
  config.log_every = 1;
  for (AugmentPolicy& policy : config.view_policies) {
    policy.size = 8;
    policy.hue = policy.saturation = 0;
  }
  return config;
}

struct Listener : PretrainObserver {
  void on_plan(const PretrainPlan& p) override { plan = p; }
  void on_step(const StepReport& r) override {
    steps.push_back(r);
    if (stop_after == r.progress.step) stop = true;
  }
  void on_probe(const CollapseReport& r) override { probes.push_back(r); }
  void on_epoch(const EpochReport& r) override { epochs.push_back(r); }
  void on_checkpoint(const fs::path&, const Progress&) override { ++checkpoints; }
  void on_note(const std::string& note) override { notes += note + '\n'; }
  PretrainPlan plan;
  std::vector<StepReport> steps;
  std::vector<EpochReport> epochs;
  std::vector<CollapseReport> probes;
  std::string notes;
  int checkpoints = 0;
  std::int64_t stop_after = -1;
  std::atomic<bool> stop = false;
};

std::vector<float> weights(Pretraining& run) { return run.method().params().values().to_host<float>(); }

class PretrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() /
             text("kagami-pretrain-", getpid(), '-', ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder);
    cpu::set_threads(1);  // steps this small only wait for a second thread
  }
  void TearDown() override {
    cpu::set_threads(0);
    fs::remove_all(folder);
  }
  PretrainOutcome go(Pretraining& run, Listener& listener) const { return run.run(folder, listener, listener.stop); }
  fs::path folder;
  Dataset data = small_data();
};

TEST_F(PretrainTest, RunsReportsAndLearns) {
  PretrainConfig config = small_config();
  config.epochs = 12;
  Pretraining run(config, data, Device::cpu());
  Listener heard;
  EXPECT_EQ(go(run, heard), PretrainOutcome::finished);
  EXPECT_EQ(heard.plan.steps_per_epoch, 4);
  EXPECT_EQ(heard.plan.steps, 48);
  EXPECT_EQ(heard.plan.dropped_images, 6);
  EXPECT_GT(heard.plan.memory_bytes, 0U);
  EXPECT_GT(heard.plan.seconds_per_step, 0);
  EXPECT_NE(heard.notes.find("leaves out 6 of 70"), std::string::npos) << heard.notes;
  ASSERT_EQ(heard.steps.size(), 48U);
  ASSERT_EQ(heard.epochs.size(), 12U);
  EXPECT_EQ(heard.checkpoints, 12);
  EXPECT_EQ(heard.steps[0].lr, 0);  // the warm-up starts at 0
  EXPECT_LT(heard.epochs.back().mean_loss, heard.epochs.front().mean_loss - 0.1);
  const StepReport& last = heard.steps.back();
  EXPECT_TRUE(last.contrastive_accuracy >= 0 && last.contrastive_accuracy <= 1);
  EXPECT_GT(last.std_sqrt_d, 0.5);
  EXPECT_LE(last.m_o * last.m_o + last.m_r * last.m_r, 1 + 1e-9);
  ASSERT_TRUE(heard.epochs.back().knn.has_value());
  EXPECT_GT(*heard.epochs.back().knn, 0.5);
  EXPECT_EQ(*heard.epochs.back().knn, *run.knn_accuracy());
}

TEST_F(PretrainTest, ABatchInPartsTrains) {
  const auto trained = [&](int micro_batch, Listener& heard) {
    PretrainConfig config = small_config();
    config.epochs = 12;
    config.micro_batch = micro_batch;
    Pretraining run(config, data, Device::cpu());
    EXPECT_EQ(go(run, heard), PretrainOutcome::finished);
    fs::remove_all(folder);
    fs::create_directories(folder);
    return weights(run);
  };
  Listener whole, one_part, halves;
  const std::vector<float> expected = trained(0, whole);
  EXPECT_EQ(trained(16, one_part), expected);
  EXPECT_NE(trained(8, halves), expected);  // batch norm sees eight images
  EXPECT_LT(halves.epochs.back().mean_loss, halves.epochs.front().mean_loss - 0.1);
  EXPECT_TRUE(std::abs(halves.epochs.back().mean_loss - whole.epochs.back().mean_loss) < 0.3);
}

// Every place to stop: within an epoch, at its end, one step before the end of the run.
TEST_F(PretrainTest, StoppedAndResumedAnywhereItEndsWithTheSameBits) {
  Pretraining whole(small_config(), data, Device::cpu());
  Listener heard;
  go(whole, heard);
  const auto expected = weights(whole);
  for (const std::int64_t stop_after : {1, 3, 4, 6, 8, 11}) {
    fs::remove_all(folder);
    fs::create_directories(folder);
    Pretraining first(small_config(), data, Device::cpu());
    Listener interrupted;
    interrupted.stop_after = stop_after;
    EXPECT_EQ(go(first, interrupted), PretrainOutcome::stopped);
    EXPECT_EQ(first.progress().step, stop_after);
    Pretraining second(small_config(), data, Device::cpu());
    second.resume(folder);
    EXPECT_EQ(second.progress().step, stop_after);
    Listener rest;
    EXPECT_EQ(go(second, rest), PretrainOutcome::finished);
    EXPECT_EQ(weights(second), expected) << stop_after;
    EXPECT_EQ(rest.epochs.back().mean_loss, heard.epochs.back().mean_loss) << stop_after;
    EXPECT_EQ(*rest.epochs.back().knn, *heard.epochs.back().knn) << stop_after;
  }
}

TEST_F(PretrainTest, WatchingChangesNothing) {
  PretrainConfig quiet = small_config();
  quiet.knn_every = 0;
  quiet.log_every = 1000;
  quiet.probe_images = 0;
  Pretraining loud(small_config(), data, Device::cpu()), silent(quiet, data, Device::cpu());
  Listener a, b;
  go(loud, a);
  silent.run({}, b, b.stop);
  EXPECT_EQ(weights(loud), weights(silent));
  EXPECT_EQ(b.steps.size(), 3U);  // the last of each epoch
  EXPECT_FALSE(b.epochs.back().knn.has_value());
  EXPECT_EQ(b.checkpoints, 0);
  EXPECT_TRUE(b.probes.empty());
}

TEST_F(PretrainTest, TheProbeLooksAtFixedImagesAndChangesNothing) {
  PretrainConfig often = small_config(), never = small_config();
  often.probe_every = 1;
  never.probe_images = 0;
  for (const char* bn_views : {"per-view", "joint"}) {
    often.bn_views = never.bn_views = bn_views;
    Pretraining watched(often, data, Device::cpu()), alone(never, data, Device::cpu());
    Listener a, b;
    go(watched, a);
    go(alone, b);
    EXPECT_EQ(weights(watched), weights(alone));
    EXPECT_EQ(watched.method().params().buffers().to_host<float>(), alone.method().params().buffers().to_host<float>());
    ASSERT_EQ(a.probes.size(), 13U);  // before the first step, and after each
    for (std::size_t i = 0; i < a.probes.size(); ++i) {
      EXPECT_EQ(a.probes[i].step, static_cast<std::int64_t>(i));
      EXPECT_EQ(a.probes[i].images, 70);
      EXPECT_TRUE(a.probes[i].rank >= 1 && a.probes[i].rank <= 8) << a.probes[i].rank;
    }
    // The first step's learning rate is 0: the same images, views and weights, so the same numbers.
    EXPECT_EQ(a.probes[0].m_o, a.probes[1].m_o);
    EXPECT_EQ(a.probes[0].uniformity, a.probes[1].uniformity);
    EXPECT_NE(a.probes[1].uniformity, a.probes[2].uniformity);
  }
}

TEST_F(PretrainTest, ResumesOnItsOwnImagesAlone) {
  Pretraining run(small_config(), data, Device::cpu());
  Listener heard;
  heard.stop_after = 3;
  go(run, heard);
  Dataset others = small_data();
  others.train.sources[5] = "another";  // as many, of the same size
  Pretraining elsewhere(small_config(), others, Device::cpu());
  try {
    elsewhere.resume(folder);
    FAIL() << "other images were taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("other images"), std::string::npos) << error.what();
  }
  Checkpoint old = load_checkpoint(folder, Device::cpu());
  ASSERT_EQ(old.metadata.erase("images"), 1U);
  save_checkpoint(folder, old.tensors, old.metadata);
  elsewhere.resume(folder);
  EXPECT_EQ(elsewhere.progress().step, 3);
}

TEST_F(PretrainTest, AResumedRunProbesAsTheWholeOne) {
  PretrainConfig config = small_config();
  config.probe_every = 2;
  Pretraining whole(config, data, Device::cpu());
  Listener heard;
  go(whole, heard);
  const double initial_rank = load_checkpoint(folder, Device::cpu()).find("run.initial_rank")->item();
  EXPECT_EQ(initial_rank, heard.probes.front().rank);
  Listener interrupted, rest;
  interrupted.stop_after = 5;
  Pretraining first(config, data, Device::cpu()), second(config, data, Device::cpu());
  go(first, interrupted);
  second.resume(folder);
  go(second, rest);
  EXPECT_EQ(load_checkpoint(folder, Device::cpu()).find("run.initial_rank")->item(), initial_rank);
  ASSERT_EQ(interrupted.probes.size() + rest.probes.size(), heard.probes.size());
  for (std::size_t i = 0; i < rest.probes.size(); ++i) {
    const CollapseReport& expected = heard.probes[interrupted.probes.size() + i];
    EXPECT_EQ(rest.probes[i].step, expected.step);
    EXPECT_EQ(rest.probes[i].rank, expected.rank);
    EXPECT_EQ(rest.probes[i].uniformity, expected.uniformity);
  }
}

TEST_F(PretrainTest, TheSameBitsWithAnyNumberOfThreads) {
  const auto run = [&](int threads) {
    cpu::set_threads(threads);
    Pretraining training(small_config(), data, Device::cpu());
    Listener heard;
    go(training, heard);
    return weights(training);
  };
  EXPECT_EQ(run(1), run(3));
}

TEST_F(PretrainTest, TheSeedMatters) {
  PretrainConfig other = small_config();
  other.seed = 2;
  Pretraining a(small_config(), data, Device::cpu()), b(other, data, Device::cpu());
  EXPECT_NE(weights(a), weights(b));
}

TEST_F(PretrainTest, WithoutLabelsThereIsNoKnnAndItSaysSo) {
  const Dataset unlabelled = small_data(false);
  Pretraining run(small_config(), unlabelled, Device::cpu());
  Listener heard;
  go(run, heard);
  EXPECT_FALSE(heard.epochs.back().knn.has_value());
  EXPECT_NE(heard.notes.find("no kNN"), std::string::npos);
}

TEST_F(PretrainTest, AFinishedRunHasNothingLeft) {
  Pretraining run(small_config(), data, Device::cpu());
  Listener heard;
  go(run, heard);
  Pretraining again(small_config(), data, Device::cpu());
  again.resume(folder);
  Listener rest;
  EXPECT_EQ(go(again, rest), PretrainOutcome::finished);
  EXPECT_TRUE(rest.steps.empty());
  EXPECT_EQ(weights(again), weights(run));
}

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST_F(PretrainTest, BadInputIsNamed) {
  PretrainConfig config = small_config();
  config.batch = 71;
  EXPECT_NE(message_of([&] { Pretraining(config, data, Device::cpu()); }).find("set of 70"), std::string::npos);
  config = small_config();
  config.method = "simclaire";
  EXPECT_NE(message_of([&] { Pretraining(config, data, Device::cpu()); }).find("simclr"), std::string::npos);
  config = small_config();
  config.temperature = 0;
  EXPECT_NE(message_of([&] { Pretraining(config, data, Device::cpu()); }).find("temperature"), std::string::npos);
  Pretraining run(small_config(), data, Device::cpu());
  EXPECT_NE(message_of([&] { run.resume(folder); }).find(folder.string()), std::string::npos);
}

TEST_F(PretrainTest, ACheckpointOfAnotherRunIsRefused) {
  Pretraining run(small_config(), data, Device::cpu());
  Listener heard;
  go(run, heard);
  PretrainConfig wider = small_config();
  wider.width = 20;
  Pretraining other(wider, data, Device::cpu());
  EXPECT_NE(message_of([&] { other.resume(folder); }), "");
  PretrainConfig smaller = small_config();
  smaller.batch = 8;
  Pretraining half(smaller, data, Device::cpu());
  EXPECT_NE(message_of([&] { half.resume(folder); }).find("4 steps an epoch"), std::string::npos);
  PretrainConfig adam = small_config();
  adam.optimizer = "adamw";
  Pretraining moments(adam, data, Device::cpu());
  EXPECT_NE(message_of([&] { moments.resume(folder); }).find("optimizer.mean"), std::string::npos);
}

TEST_F(PretrainTest, DivergenceIsAFailureThatSaysWhere) {
  PretrainConfig config = small_config();
  config.warmup_epochs = 0;
  config.lr = 1e30;
  config.projector_output_bn = "none";
  config.projector_hidden_bn = "none";
  Pretraining run(config, data, Device::cpu());
  Listener heard;
  EXPECT_THROW(go(run, heard), std::runtime_error);
}

}  // namespace
}  // namespace kagami
