#include "apps/support/common_options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <utility>

#include "engine/checkpoint.h"
#include "engine/error.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
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
std::vector<std::string> tiny_run(const std::string& out, const std::string& device,
                                  const std::string& precision = "auto") {
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
          "--precision",
          precision,
          "--out",
          out};
}

TEST(Device, PretrainingOnCudaLearnsWhatTheCpuDoes) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  const test::TemporaryFolder folder;
  const test::Outcome cpu = test::kagami(folder.path(), tiny_run("cpu", "cpu"));
  ASSERT_EQ(cpu.code, 0) << cpu.err;
  const std::map<int, double> expected = test::logged(folder / "cpu", "loss");
  for (const auto& [precision, tolerance] : {std::pair{"fp32", 1e-3}, {"tf32", 5e-3}, {"bf16", 2e-2}}) {
    const test::Outcome cuda = test::kagami(folder.path(), tiny_run(precision, "cuda", precision));
    ASSERT_EQ(cuda.code, 0) << cuda.err;
    EXPECT_NE(cuda.out.find(text("Computes on cuda:0 in ", precision)), std::string::npos) << cuda.out;
    const std::map<int, double> losses = test::logged(folder / precision, "loss");
    ASSERT_EQ(losses.size(), 4U);
    for (const auto& [step, loss] : losses)
      EXPECT_TRUE(std::abs(loss - expected.at(step)) <= tolerance * std::abs(loss))
          << precision << " step " << step << ": " << loss << " and " << expected.at(step);
  }
}

TEST(Device, APrecisionTheDeviceLacksIsRefused) {
  const test::TemporaryFolder folder;
  for (const char* precision : {"bf16", "tf32"}) {
    const test::Outcome outcome = test::kagami(folder.path(), tiny_run("run", "cpu", precision));
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.err,
              text("kagami: --precision ", precision, ": needs a CUDA device, and this computes on the CPU; use fp32\n"));
    EXPECT_FALSE(std::filesystem::exists(folder / "run/config.ini")) << "a run began";
  }
  const test::Outcome unknown = test::kagami(folder.path(), tiny_run("run", "cpu", "fp16"));
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.err, "kagami: --precision: 'fp16' is not known; did you mean 'bf16'?\n");
}

TEST(Device, AMatrixProductLibraryTheDeviceLacksIsRefused) {
  const test::TemporaryFolder folder;
  const auto run_with = [&](const char* device, const char* matmul) {
    std::vector<std::string> arguments = tiny_run("run", device);
    arguments.insert(arguments.end(), {"--matmul", matmul});
    return test::kagami(folder.path(), arguments);
  };
  const test::Outcome refused = run_with("cpu", "cublas");
  EXPECT_EQ(refused.code, 2);
  EXPECT_TRUE(refused.err.starts_with("kagami: --matmul: cuBLASLt cannot be used: ") ||
              refused.err ==
                  "kagami: --matmul cublas: needs a CUDA device, and this computes on the CPU; leave it out\n")
      << refused.err;
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "run/config.ini")) << "a run began";
  const test::Outcome unknown = run_with("cpu", "mkl");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.err, "kagami: --matmul: 'mkl' is not known; known: own, cublas\n");
  ASSERT_EQ(run_with("cpu", "own").code, 0);
  EXPECT_NE(test::content_of(folder / "run/config.ini").find("\nmatmul = own\n"), std::string::npos);
}

/// Stops a run in bf16 on CUDA after some steps, whose checkpoint is f32 throughout, and goes on with it elsewhere.
void expect_resumes(const std::vector<std::string>& elsewhere) {
  const test::TemporaryFolder folder;
  test::Running first(folder.path(), tiny_run("run", "cuda", "bf16"));
  first.wait_for_lines(folder / "run/log.jsonl", 2);
  first.send(SIGINT);
  const test::Outcome stopped = first.wait();
  const SafetensorsFile saved(checkpoint_path(folder / "run"));
  for (const StoredTensor& tensor : saved.tensors())
    EXPECT_TRUE(tensor.type == StoredType::f32 || tensor.name.starts_with("run.")) << tensor.name;
  std::vector<std::string> arguments{"pretrain", "--resume", "--out", "run"};
  arguments.insert(arguments.end(), elsewhere.begin(), elsewhere.end());
  const test::Outcome resumed = test::kagami(folder.path(), arguments);
  EXPECT_EQ(resumed.code, 0) << stopped.err << resumed.err;
  EXPECT_EQ(test::logged(folder / "run", "loss").size(), 4U);
}

TEST(Device, ABf16CheckpointIsF32AndResumesAnywhere) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  expect_resumes({"--device", "cpu", "--precision", "fp32"});
  expect_resumes({"--precision", "fp32"});
  expect_resumes({});
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
  const auto features_in = [&](const std::string& device, const std::string& precision) {
    const test::Outcome outcome = test::kagami(folder.path(), {"embed", "--run", "run", "--device", device,
                                                               "--precision", precision, "--out", "features.npy"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_npy(folder / "features.npy").values;
  };
  const std::vector<float> expected = features_in("cpu", "auto"), fp32 = features_in("cuda", "fp32");
  const std::vector<float> bf16 = features_in("cuda", "bf16");
  EXPECT_EQ(features_in("cuda", "auto"), bf16);
  ASSERT_EQ(fp32.size(), expected.size());
  ASSERT_EQ(bf16.size(), expected.size());
  double apart = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(std::abs(fp32[i] - expected[i]) <= 1e-5F * (1 + std::abs(expected[i]))) << i;
    apart += (bf16[i] - expected[i]) * (bf16[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  EXPECT_TRUE(apart > 0 && apart <= 2e-2 * 2e-2 * size) << "bf16: " << std::sqrt(apart / size);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"knn", "--k", "5"}, {"linear", "--l2", "0.01"}, {"evaluate"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--run", "run", "--device", "cuda"});
    const test::Outcome outcome = test::kagami(folder.path(), arguments);
    EXPECT_EQ(outcome.code, 0) << command.front() << ": " << outcome.err;
  }
  EXPECT_EQ(test::kagami(folder.path(), {"knn", "--run", "run", "--device", "cuda:99"}).code, 2);
  EXPECT_EQ(test::kagami(folder.path(), {"knn", "--run", "run", "--device", "cpu", "--precision", "bf16"}).code, 2);
}

TEST(Device, OutOfMemoryNamesWhatIsWantedAndWhatHoldsTheRest) {
  if (Device::cuda_count() == 0 || !Device::cuda(0).emulated()) GTEST_SKIP() << "needs an emulated device";
  const test::TemporaryFolder folder;
  setenv("KAGAMI_EMULATOR_MEMORY", "300000", 1);
  const test::Outcome outcome = test::kagami(folder.path(), tiny_run("run", "cuda"));
  unsetenv("KAGAMI_EMULATOR_MEMORY");
  EXPECT_EQ(outcome.code, 1);
  const std::string line = outcome.err.substr(outcome.err.rfind("kagami"));
  for (const char* part :
       {"cuda:0, ", "out of memory: ", " wanted while ", "activations ", "parameters ", "(wanted: activations ["})
    EXPECT_NE(line.find(part), std::string::npos) << part << " is not in: " << outcome.err;
  EXPECT_TRUE(line.find("] f32)") != line.npos || line.find("] bf16)") != line.npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Device, OutOfMemoryInTheFirstBatchLeavesTheRunThatWasToBeReplaced) {
  if (Device::cuda_count() == 0 || !Device::cuda(0).emulated()) GTEST_SKIP() << "needs an emulated device";
  const test::TemporaryFolder folder;
  std::vector<std::string> arguments = tiny_run("run", "cpu");
  ASSERT_EQ(test::kagami(folder.path(), arguments).code, 0);
  const std::string before = test::content_of(checkpoint_path(folder / "run"));
  arguments = tiny_run("run", "cuda");
  arguments.push_back("--overwrite");
  setenv("KAGAMI_EMULATOR_MEMORY", "300000", 1);
  const test::Outcome outcome = test::kagami(folder.path(), arguments);
  unsetenv("KAGAMI_EMULATOR_MEMORY");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(test::content_of(checkpoint_path(folder / "run")), before);
}

TEST(Device, WithoutCudaTheProgramSaysSo) {
  if (Device::cuda_count() > 0) GTEST_SKIP() << "there is a CUDA device";
  const test::TemporaryFolder folder;
  const test::Outcome outcome = test::kagami(folder.path(), tiny_run("run", "cuda"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("cuda:0: no such device"), std::string::npos) << outcome.err;
}

TEST(Device, WithoutCudaAutoComputesOnTheCpu) {
  std::string why;
  if (Device::cuda_count(&why) > 0) GTEST_SKIP() << "there is a CUDA device";
  const test::TemporaryFolder folder;
  const test::Outcome outcome = test::kagami(folder.path(), tiny_run("run", "auto"));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const bool says_why = outcome.err.find("Computes on the CPU: " + why) != std::string::npos;
  EXPECT_EQ(says_why, why.find("built without CUDA") == why.npos) << outcome.err;
}

}  // namespace
}  // namespace kagami::apps
