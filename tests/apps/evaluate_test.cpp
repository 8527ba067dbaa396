// The commands that look at a trained network.
#include <gtest/gtest.h>

#include "engine/checkpoint.h"
#include "engine/npy.h"
#include "tests/apps/small_run.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::test {
namespace {

class Evaluate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    run_ = kagami(folder_->path(), small_run("run"));
  }
  static void TearDownTestSuite() { delete folder_; }
  void SetUp() override { ASSERT_EQ(run_.code, 0) << run_.err; }
  static const std::filesystem::path& folder() { return folder_->path(); }
  static Outcome call(const std::vector<std::string>& arguments) { return kagami(folder(), arguments); }

 private:
  static TemporaryFolder* folder_;
  static Outcome run_;
};
TemporaryFolder* Evaluate::folder_ = nullptr;
Outcome Evaluate::run_;

TEST_F(Evaluate, KnnAndLinear) {
  const Outcome knn = call({"knn", "--run", "run"});
  EXPECT_EQ(knn.code, 0) << knn.err;
  EXPECT_NE(knn.out.find("after step 28: kNN"), std::string::npos) << knn.out;
  EXPECT_NE(knn.out.find("120 training and 24 test images"), std::string::npos) << knn.out;
  EXPECT_EQ(call({"knn", "--run", "run"}).out, knn.out);
  for (const char* protocol : {"logistic", "sgd", "ridge"}) {
    const Outcome linear = call({"linear", "--run", "run", "--protocol", protocol, "--epochs", "5"});
    EXPECT_EQ(linear.code, 0) << linear.err;
    EXPECT_NE(linear.out.find("linear "), std::string::npos) << linear.out;
    EXPECT_NE(linear.out.find(protocol), std::string::npos) << linear.out;
  }
  EXPECT_EQ(call({"linear", "--run", "run", "--layer", "projector"}).code, 0);
}

TEST_F(Evaluate, ComparesWithPixelsAndTheUntrainedNetwork) {
  const Outcome outcome = call({"evaluate", "--run", "run"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part : {"kNN", "linear", "raw pixels", "untrained network", "pretrained network"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " is missing from\n" << outcome.out;
}

TEST_F(Evaluate, EmbedsEveryImageInOrder) {
  const Outcome outcome = call({"embed", "--run", "run", "--out", "features.npy", "--names", "names.txt"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Matrix features = read_npy(folder() / "features.npy");
  EXPECT_EQ(features.rows, 144);
  EXPECT_EQ(features.columns, 16);
  const Outcome test = call({"embed", "--run", "run", "--split", "test", "--out", "test.npy"});
  ASSERT_EQ(test.code, 0) << test.err;
  EXPECT_EQ(read_npy(folder() / "test.npy").rows, 24);
  const std::string names = content_of(folder() / "names.txt");
  EXPECT_EQ(std::count(names.begin(), names.end(), '\n'), 144);
}

TEST_F(Evaluate, ADamagedCheckpointNamesAWayOnThatWorks) {
  std::filesystem::copy(folder() / "run", folder() / "damaged");
  write_content(checkpoint_path(folder() / "damaged"), "x");
  const std::vector<std::string> commands[] = {{"knn"}, {"embed", "--out", "f.npy"}, {"evaluate"}};
  for (std::vector<std::string> arguments : commands) {
    arguments.insert(arguments.end(), {"--run", "damaged"});
    const Outcome refused = call(arguments);
    EXPECT_EQ(refused.code, 2);
    EXPECT_TRUE(one_line(refused.err)) << refused.err;
    EXPECT_NE(refused.err.find("add --previous-checkpoint"), std::string::npos) << refused.err;
    arguments.push_back("--previous-checkpoint");
    const Outcome taken = call(arguments);
    EXPECT_EQ(taken.code, 0) << taken.err;
  }
}

TEST_F(Evaluate, OptionsBesideARunAreNotDropped) {
  const auto images = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"knn", "--run", "subset"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return call(arguments).out;
  };
  ASSERT_EQ(call(small_run("subset", {"--train-images", "40"})).code, 0);
  EXPECT_NE(images({}).find("40 training and 24 test images"), std::string::npos);
  EXPECT_NE(images({"--train-images", "0"}).find("120 training and 24 test images"), std::string::npos);
}

/// The network of a run as other programs write it: torchvision's names, with a classifier on top.
void export_weights(const std::filesystem::path& run, const std::filesystem::path& file) {
  std::vector<NamedTensor> tensors;
  for (const NamedTensor& t : load_checkpoint(run, Device::cpu()).tensors)
    if (t.name.starts_with("encoder.")) tensors.push_back({t.name.substr(8), t.tensor});
  tensors.push_back({"fc.weight", Tensor::full({10, 16}, 0, DType::f32, Device::cpu())});
  tensors.push_back({"bn1.num_batches_tracked", Tensor::full({}, 0, DType::f32, Device::cpu())});
  write_tensors(file, tensors, {});
}

TEST_F(Evaluate, WeightsOfAnotherArchitectureAreRefused) {
  std::vector<std::string> deeper = small_run("deeper");
  *std::find(deeper.begin(), deeper.end(), "resnet8") = "resnet14";
  ASSERT_EQ(call(deeper).code, 0);
  export_weights(folder() / "run", folder() / "8.safetensors");
  export_weights(folder() / "deeper", folder() / "14.safetensors");
  const auto embed = [](const std::string& weights, const std::string& arch) {
    return call({"embed", "--weights", weights, "--arch", arch, "--width", "4", "--stem", "cifar-s2", "--data",
                 "procedural:20", "--device", "cpu", "--out", "w.npy"});
  };
  for (const char* weights : {"14.safetensors", "deeper/checkpoint.safetensors"}) {
    EXPECT_EQ(embed(weights, "resnet14").code, 0);
    const Outcome refused = embed(weights, "resnet8");
    EXPECT_EQ(refused.code, 2);
    EXPECT_TRUE(one_line(refused.err)) << refused.err;
    EXPECT_NE(refused.err.find("resnet8 has no 'layer1.1."), std::string::npos) << refused.err;
  }
  EXPECT_EQ(embed("8.safetensors", "resnet8").code, 0);
  EXPECT_EQ(embed("run/checkpoint.safetensors", "resnet8").code, 0);
  EXPECT_EQ(embed("8.safetensors", "resnet14").code, 2);
}

TEST_F(Evaluate, InfoOfARunAndOfItsCheckpoint) {
  const Outcome run = call({"info", "run"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("epochs = 4"), std::string::npos);
  const Outcome checkpoint = call({"info", "run/checkpoint.safetensors"});
  EXPECT_EQ(checkpoint.code, 0) << checkpoint.err;
  EXPECT_NE(checkpoint.out.find("checksum right"), std::string::npos) << checkpoint.out;
}

TEST_F(Evaluate, BadInputIsOneLineAndACode) {
  write_content(folder() / "text.safetensors", "not weights at all");
  struct Case {
    std::vector<std::string> arguments;
    const char* said;
  };
  const Case cases[] = {
      {{"knn"}, "--run"},
      {{"knn", "--run", "none"}, "none"},
      {{"knn", "--run", "run", "--k", "0"}, "--k"},
      {{"knn", "--run", "run", "--weights", "x"}, "exclude each other"},
      {{"linear", "--run", "run", "--protocol", "sdg"}, "did you mean 'sgd'?"},
      {{"linear", "--weights", "text.safetensors", "--data", "procedural:50", "--device", "cpu"}, "text.safetensors"},
      {{"embed", "--run", "run"}, "--out is missing"},
      {{"embed", "--run", "run", "--out", "features.txt"}, ".npy"},
      {{"knn", "--weights", "x", "--previous-checkpoint"}, "--previous-checkpoint needs --run"},
      {{"embed", "--weights", "none.safetensors", "--data", "procedural:50", "--device", "cpu", "--out", "f.npy"},
       "none.safetensors"},
      {{"embed", "--weights", "run/checkpoint.safetensors", "--arch", "resnet50", "--data", "procedural:50", "--device",
        "cpu", "--out", "f.npy"},
       "--arch"},
      {{"evaluate"}, "--run is missing"},
      {{"evaluate", "--run", "run", "--data", "none"}, "none"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = call(c.arguments);
    EXPECT_EQ(outcome.code, 2) << c.said << ": " << outcome.err;
    EXPECT_TRUE(one_line(outcome.err)) << c.said << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(c.said), std::string::npos) << c.said << ": " << outcome.err;
  }
}

}  // namespace
}  // namespace kagami::test
