#include "apps/support/common_options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>

#include "engine/error.h"
#include "engine/npy.h"
#include "tests/apps/program.h"
#include "tests/apps/small_run.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::apps {
namespace {

std::string message_of(const std::string& name) {
  try {
    device_named(name);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Device, AutoNeverPicksAnEmulatedOne) {
  const Device device = device_named("auto");
  EXPECT_FALSE(device.emulated());
  EXPECT_EQ(device_named("cpu"), Device::cpu());
}

TEST(Device, AnUnknownNameOrNumberIsRefused) {
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda0", ""})
    EXPECT_EQ(message_of(name), text("--device ", name, ": use auto, cpu, cuda or cuda:N"));
  EXPECT_NE(message_of("cuda:99").find("cuda:99: no such device"), std::string::npos) << message_of("cuda:99");
}

/// A run of four steps that an emulated device does in seconds.
std::vector<std::string> tiny_run(const std::string& out, const std::string& device) {
  return {"pretrain",
          "--data",
          "procedural:16",
          "--arch",
          "resnet8",
          "--width",
          "4",
          "--stem",
          "cifar-s2",
          "--size",
          "16",
          "--projector-hidden",
          "16",
          "--projector-dim",
          "8",
          "--epochs",
          "2",
          "--batch",
          "8",
          "--warmup-epochs",
          "1",
          "--log-every",
          "1",
          "--knn-every",
          "0",
          "--probe-images",
          "4",
          "--seed",
          "5",
          "--device",
          device,
          "--out",
          out};
}

TEST(Device, PretrainingOnCudaLearnsWhatTheCpuDoes) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  const test::TemporaryFolder folder;
  const test::Outcome cpu = test::kagami(folder.path(), tiny_run("cpu", "cpu"));
  ASSERT_EQ(cpu.code, 0) << cpu.err;
  const test::Outcome cuda = test::kagami(folder.path(), tiny_run("cuda", "cuda"));
  ASSERT_EQ(cuda.code, 0) << cuda.err;
  const std::map<int, double> expected = test::logged(folder / "cpu", "loss");
  const std::map<int, double> losses = test::logged(folder / "cuda", "loss");
  ASSERT_EQ(losses.size(), 4U);
  for (const auto& [step, loss] : losses)
    EXPECT_TRUE(std::abs(loss - expected.at(step)) <= 1e-3 * std::abs(loss)) << "step " << step << ": " << loss;
}

TEST(Device, ACheckpointFromCudaResumesOnTheCpu) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  const test::TemporaryFolder folder;
  test::Running first(folder.path(), tiny_run("run", "cuda"));
  first.wait_for_lines(folder / "run/log.jsonl", 2);
  first.send(SIGINT);
  const test::Outcome stopped = first.wait();
  const test::Outcome resumed =
      test::kagami(folder.path(), {"pretrain", "--resume", "--device", "cpu", "--out", "run"});
  EXPECT_EQ(resumed.code, 0) << stopped.err << resumed.err;
  EXPECT_EQ(test::logged(folder / "run", "loss").size(), 4U);
}

TEST(Device, EvaluationsOnCudaSeeTheFeaturesOfTheCpu) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  const test::TemporaryFolder folder;
  ASSERT_EQ(test::kagami(folder.path(), tiny_run("run", "cpu")).code, 0);
  for (const char* device : {"cpu", "cuda"}) {
    const test::Outcome outcome = test::kagami(
        folder.path(), {"embed", "--run", "run", "--device", device, "--out", std::string(device) + ".npy"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const Matrix expected = read_npy(folder / "cpu.npy"), features = read_npy(folder / "cuda.npy");
  ASSERT_EQ(features.values.size(), expected.values.size());
  for (std::size_t i = 0; i < expected.values.size(); ++i)
    EXPECT_TRUE(std::abs(features.values[i] - expected.values[i]) <= 1e-5F * (1 + std::abs(expected.values[i]))) << i;
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"knn", "--k", "5"}, {"linear", "--l2", "0.01"}, {"evaluate"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--run", "run", "--device", "cuda"});
    const test::Outcome outcome = test::kagami(folder.path(), arguments);
    EXPECT_EQ(outcome.code, 0) << command.front() << ": " << outcome.err;
  }
  EXPECT_EQ(test::kagami(folder.path(), {"knn", "--run", "run", "--device", "cuda:99"}).code, 2);
}

TEST(Device, WithoutCudaTheProgramSaysSo) {
  if (Device::cuda_count() > 0) GTEST_SKIP() << "there is a CUDA device";
  const test::TemporaryFolder folder;
  const test::Outcome outcome = test::kagami(folder.path(), tiny_run("run", "cuda"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("cuda:0: no such device"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace kagami::apps
