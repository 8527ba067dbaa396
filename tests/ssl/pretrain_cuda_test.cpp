// Pretraining on a CUDA device: recorded steps, images in the device's memory or streamed to it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "engine/data/pack.h"
#include "kernels/philox.h"
#include "ssl/pretrain.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

namespace fs = std::filesystem;

/// Noise images of several sizes.
Dataset noise(int count) {
  ImageSetBuilder builder;
  for (int i = 0; i < count; ++i) {
    Philox random(1, Purpose::test, 0, static_cast<std::uint32_t>(i), 0);
    const int height = 8 + i % 3, width = 9 + i % 2;
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(3 * height * width));
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random.next());
    builder.add(pixels, height, width, text("image ", i));
  }
  Dataset data;
  data.name = "noise";
  data.train = builder.finish();
  return data;
}

/// ResNet-8, narrow, on 8 x 8 views: three epochs of three steps.
PretrainConfig small_config() {
  PretrainConfig config;
  method_info("simclr").defaults(config);
  config.arch = "resnet8";
  config.stem = "cifar-s2";
  config.width = 4;
  config.projector_hidden = 8;
  config.projector_dim = 8;
  config.batch = 4;
  config.epochs = 3;
  config.warmup_epochs = 1;
  config.lr = 0.5;
  config.log_every = 1000;
  config.probe_images = 0;
  config.checkpoint_every = 100;
  for (AugmentPolicy& policy : config.view_policies) policy.size = 8;
  return config;
}

struct Listener : PretrainObserver {
  explicit Listener(std::int64_t stop_at = -1) : stop_after(stop_at) {}
  void on_step(const StepReport& r) override {
    last = r;
    if (r.progress.step == stop_after) stop = true;
    allocations.push_back(Device::cuda(0).memory().stats().system_allocations);
  }
  void on_probe(const CollapseReport&) override { ++probes; }
  void on_epoch(const EpochReport& r) override { losses.push_back(r.mean_loss); }
  void on_note(const std::string& note) override { notes += note + '\n'; }
  std::int64_t stop_after;
  std::atomic<bool> stop = false;
  StepReport last;
  int probes = 0;
  std::vector<double> losses;
  std::vector<std::uint64_t> allocations;
  std::string notes;
};

/// Everything that a run leaves.
struct Ended {
  std::vector<float> parameters, running, momentum;
  std::vector<double> losses;
  bool operator==(const Ended&) const = default;
};

Ended ended(Pretraining& run, const Listener& heard) {
  const Params& params = run.method().params();
  return {params.values().to_host<float>(), params.buffers().to_host<float>(), run.state()[0].tensor.to_host<float>(),
          heard.losses};
}

class PretrainCuda : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  }
  Ended whole(const PretrainConfig& config, Listener& heard) const {
    Pretraining run(config, data, Device::cuda(0));
    run.run({}, heard, heard.stop);
    return ended(run, heard);
  }
  Ended whole(const PretrainConfig& config) const {
    Listener heard;
    return whole(config, heard);
  }
  Dataset data = noise(14);
};

TEST_F(PretrainCuda, RecordedStepsTrainTheSameBits) {
  PretrainConfig eager = small_config();
  eager.record_step = false;
  PretrainConfig logs = small_config();
  logs.log_every = 1;
  Listener of_eager, of_recorded;
  const Ended expected = whole(eager, of_eager), recorded = whole(logs, of_recorded);
  EXPECT_EQ(recorded.parameters, expected.parameters);
  EXPECT_EQ(recorded.running, expected.running);
  EXPECT_EQ(recorded.momentum, expected.momentum);
  EXPECT_EQ(recorded.losses, expected.losses);
  EXPECT_EQ(of_recorded.last.loss, of_eager.last.loss);
  EXPECT_EQ(of_recorded.last.contrastive_accuracy, of_eager.last.contrastive_accuracy);
  EXPECT_EQ(of_recorded.last.std_sqrt_d, of_eager.last.std_sqrt_d);
  ASSERT_EQ(of_recorded.allocations.size(), 9U);
  EXPECT_EQ(of_recorded.allocations[2], of_recorded.allocations[8]) << "a recorded step allocates";
  EXPECT_NE(of_recorded.notes.find("one launch of"), std::string::npos) << of_recorded.notes;
  EXPECT_EQ(of_eager.notes.find("one launch of"), std::string::npos);
}

/// Rates and, of AdamW, corrections of the bias are read from the device's memory.
TEST_F(PretrainCuda, RecordedStepsOfAnyOptimizerAndPrecisionTrainTheSameBits) {
  for (const char* optimizer : {"sgd", "adamw"})
    for (const Precision& precision : {Precision(DType::f32), Precision::tf32_products(), Precision::mixed_bf16()}) {
      SCOPED_TRACE(testing::Message() << optimizer << " in " << precision);
      PretrainConfig recorded = small_config();
      recorded.optimizer = optimizer;
      recorded.lr = 0.01;
      PretrainConfig eager = recorded;
      eager.record_step = false;
      Listener of_recorded, of_eager;
      Pretraining one(recorded, data, Device::cuda(0), "", precision),
          other(eager, data, Device::cuda(0), "", precision);
      one.run({}, of_recorded, of_recorded.stop);
      other.run({}, of_eager, of_eager.stop);
      EXPECT_EQ(ended(one, of_recorded), ended(other, of_eager));
    }
}

TEST_F(PretrainCuda, StepsInPartsAreRecordedAndStreamedToo) {
  PretrainConfig parts = small_config();
  parts.micro_batch = 2;
  const Ended expected = whole(parts);
  EXPECT_NE(expected, whole(small_config()));
  parts.device_data_limit = 0;
  EXPECT_EQ(whole(parts), expected);
  parts.record_step = false;
  EXPECT_EQ(whole(parts), expected);
}

TEST_F(PretrainCuda, InBf16Too) {
  const Precision mixed = Precision::mixed_bf16();
  PretrainConfig eager = small_config();
  eager.record_step = false;
  Listener of_eager, of_recorded;
  Pretraining one(eager, data, Device::cuda(0), "", mixed), other(small_config(), data, Device::cuda(0), "", mixed);
  one.run({}, of_eager, of_eager.stop);
  other.run({}, of_recorded, of_recorded.stop);
  EXPECT_EQ(ended(other, of_recorded), ended(one, of_eager));
}

// From a pack that is mapped, batch by batch, and with steps that are not recorded.
TEST_F(PretrainCuda, StreamedImagesTrainTheSameBits) {
  const Ended expected = whole(small_config());
  const fs::path file = fs::temp_directory_path() / text("kagami-pretrain-cuda-", getpid(), ".pack");
  write_pack(data, file);
  data = read_pack(file);
  PretrainConfig streams = small_config();
  streams.device_data_limit = 0;
  EXPECT_EQ(whole(streams), expected);
  streams.record_step = false;
  EXPECT_EQ(whole(streams), expected);
  fs::remove(file);
}

TEST_F(PretrainCuda, WatchingChangesNothing) {
  PretrainConfig watched = small_config();
  watched.log_every = 1;
  watched.probe_images = 6;
  watched.probe_every = 2;
  watched.device_data_limit = 0;
  Listener heard;
  EXPECT_EQ(whole(watched, heard), whole(small_config()));
  EXPECT_EQ(heard.probes, 6);  // after 0, 2, 4, 6, 8 and 9 steps
}

TEST_F(PretrainCuda, TrainsAsTheCpuDoes) {
  PretrainConfig config = small_config();
  config.optimizer = "sgd";
  config.lr = 0.01;
  config.epochs = 1;
  config.warmup_epochs = 0;
  Pretraining on_cpu(config, data, Device::cpu()), on_cuda(config, data, Device::cuda(0));
  Listener a, b;
  on_cpu.run({}, a, a.stop);
  on_cuda.run({}, b, b.stop);
  EXPECT_NEAR(b.losses[0], a.losses[0], 1e-4 * a.losses[0]);
  EXPECT_LE(test::relative_error(on_cuda.method().params().values(), on_cpu.method().params().values()), 1e-5);
}

TEST_F(PretrainCuda, StoppedAndResumedItEndsWithTheSameBits) {
  const fs::path folder = fs::temp_directory_path() / text("kagami-pretrain-cuda-", getpid());
  const Ended expected = whole(small_config());
  for (const std::int64_t stop_after : {2, 6}) {
    fs::create_directories(folder);
    PretrainConfig config = small_config();
    config.log_every = 1;
    Listener interrupted(stop_after), rest;
    Pretraining first(config, data, Device::cuda(0));
    EXPECT_EQ(first.run(folder, interrupted, interrupted.stop), PretrainOutcome::stopped);
    Pretraining second(config, data, Device::cuda(0));
    second.resume(folder);
    EXPECT_EQ(second.run(folder, rest, rest.stop), PretrainOutcome::finished);
    const Ended seen = ended(second, rest);
    EXPECT_EQ(seen.parameters, expected.parameters) << stop_after;
    EXPECT_EQ(seen.running, expected.running) << stop_after;
    EXPECT_EQ(seen.momentum, expected.momentum) << stop_after;
    EXPECT_EQ(seen.losses.back(), expected.losses.back()) << stop_after;
    fs::remove_all(folder);
  }
}

// The loss of a step is looked at some steps later; it is that step which is named.
TEST_F(PretrainCuda, DivergenceNamesItsStep) {
  PretrainConfig config = small_config();
  config.optimizer = "sgd";
  config.warmup_epochs = 0;
  config.lr = 1e30;
  config.projector_output_bn = config.projector_hidden_bn = "none";
  std::string of_cpu, of_cuda;
  for (const Device& device : {Device::cpu(), Device::cuda(0)}) {
    Pretraining run(config, data, device);
    Listener heard;
    try {
      run.run({}, heard, heard.stop);
      ADD_FAILURE() << "no failure on " << device;
    } catch (const std::runtime_error& error) {
      (device.is_cpu() ? of_cpu : of_cuda) = error.what();
    }
  }
  const auto from_step = [](const std::string& message) { return message.substr(message.find(" at step ")); };
  EXPECT_EQ(from_step(of_cuda), from_step(of_cpu));
}

}  // namespace
}  // namespace kagami
