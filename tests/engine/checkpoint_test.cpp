#include "engine/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "engine/autograd.h"
#include "engine/module.h"
#include "engine/optimizer.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

namespace fs = std::filesystem;
using test::random_tensor;

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() /
             text("kagami-checkpoint-", getpid(), '-', ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }
  void save(double value) const {
    save_checkpoint(folder, {{"w", Tensor::full({50}, value, DType::f32, Device::cpu())}}, {{"step", "7"}});
  }
  static void damage(const fs::path& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-3, std::ios::end);
    stream.put('\x55');
  }
  std::string message() const {
    try {
      load_checkpoint(folder, Device::cpu());
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
  double value(bool previous = false) const {
    return load_checkpoint(folder, Device::cpu(), previous).find("w")->rows(0, 1).item();
  }
  fs::path folder;
};

TEST_F(CheckpointTest, KeepsThePreviousOne) {
  save(1);
  EXPECT_FALSE(fs::exists(previous_checkpoint_path(folder)));
  save(2);
  save(3);
  EXPECT_EQ(value(), 3);
  EXPECT_EQ(value(true), 2);
  EXPECT_EQ(load_checkpoint(folder, Device::cpu()).metadata.at("step"), "7");
  EXPECT_EQ(load_checkpoint(folder, Device::cpu()).find("v"), nullptr);
}

TEST_F(CheckpointTest, AFailedWriteLosesNothing) {
  save(1);
  save(2);
  fs::create_directories(folder / "checkpoint.next.safetensors");  // cannot be written
  EXPECT_ANY_THROW(save(3));
  EXPECT_EQ(value(), 2);
  EXPECT_EQ(value(true), 1);
}

TEST_F(CheckpointTest, ADamagedOneIsRefusedAndThePreviousOffered) {
  save(1);
  save(2);
  damage(checkpoint_path(folder));
  EXPECT_NE(message().find(checkpoint_path(folder).string()), std::string::npos) << message();
  EXPECT_NE(message().find(previous_checkpoint_path(folder).string()), std::string::npos) << message();
  EXPECT_EQ(value(true), 1);
  damage(previous_checkpoint_path(folder));
  EXPECT_EQ(message().find(previous_checkpoint_path(folder).string()), std::string::npos) << message();
}

TEST_F(CheckpointTest, ADamagedOneDoesNotReplaceThePreviousOne) {
  save(1);
  save(2);
  damage(checkpoint_path(folder));
  save(3);
  EXPECT_EQ(value(), 3);
  EXPECT_EQ(value(true), 1);
}

TEST_F(CheckpointTest, NorDoesOneThatWasPassedOver) {
  save(1);
  save(2);
  save_checkpoint(folder, {{"w", Tensor::full({50}, 3, DType::f32, Device::cpu())}}, {}, true);
  EXPECT_EQ(value(), 3);
  EXPECT_EQ(value(true), 1);
  save(4);
  EXPECT_EQ(value(true), 3);
}

TEST_F(CheckpointTest, ASaveKilledBetweenItsRenamesLosesNothing) {
  save(1);
  save(2);
  save(3);
  fs::rename(checkpoint_path(folder), next_checkpoint_path(folder));
  EXPECT_TRUE(has_checkpoint(folder));
  fs::copy_file(previous_checkpoint_path(folder), checkpoint_path(folder));  // as the kill left them: 2, 2, next 3
  EXPECT_EQ(value(), 3);
  EXPECT_EQ(value(true), 2);
  damage(next_checkpoint_path(folder));
  EXPECT_EQ(value(), 2);
  save(4);
  EXPECT_EQ(value(), 4);
  EXPECT_EQ(value(true), 2);
  EXPECT_FALSE(fs::exists(next_checkpoint_path(folder)));
}

TEST_F(CheckpointTest, NoneAtAll) { EXPECT_NE(message().find("checkpoint.safetensors"), std::string::npos); }

TEST_F(CheckpointTest, AFileCutAnywhereIsRefused) {
  save(1);
  const auto size = fs::file_size(checkpoint_path(folder));
  for (std::uintmax_t cut = 0; cut < size; cut += 13) {
    fs::resize_file(checkpoint_path(folder), cut);
    EXPECT_THROW(load_checkpoint(folder, Device::cpu()), InputError) << cut;
    fs::remove(checkpoint_path(folder));
    save(1);
    fs::remove(previous_checkpoint_path(folder));
  }
}

/// A linear network and its optimizer on data that is a function of the step.
struct Training {
  explicit Training(std::uint64_t seed) : layer(Scope(params).child("layer"), 6, 4), state(Device::cpu()) {
    params.allocate(Device::cpu(), DType::f32, seed);
    optimizer = make_adamw(params, {.weight_decay = 0.01});
  }
  void run(int first, int last) {
    for (int step = first; step < last; ++step) {
      StepScalars scalars;
      scalars.lr[0] = 0.01;
      scalars.step = static_cast<std::uint32_t>(step);
      state.set(scalars);
      params.zero_grad();
      const Tensor y = layer.forward(random_tensor({8, 6}, DType::f32, static_cast<unsigned>(step)));
      backward(sum(mul(y, y)));
      optimizer->step(state);
    }
  }
  std::vector<NamedTensor> tensors() const {
    std::vector<NamedTensor> all = params.state_dict();
    for (const NamedTensor& t : optimizer->state()) all.push_back({"optimizer." + t.name, t.tensor});
    return all;
  }
  void restore(const Checkpoint& checkpoint) {
    params.load_state_dict(checkpoint.tensors);
    for (const NamedTensor& t : optimizer->state()) t.tensor.copy_from(*checkpoint.find("optimizer." + t.name));
  }
  Params params;
  Linear layer;
  StepState state;
  std::unique_ptr<Optimizer> optimizer;
};

TEST_F(CheckpointTest, TenStepsAreFiveThenSavedThenFive) {
  Training whole(1), half(1), other(2);
  whole.run(0, 10);
  half.run(0, 5);
  save_checkpoint(folder, half.tensors(), {});
  other.restore(load_checkpoint(folder, Device::cpu()));
  other.run(5, 10);
  EXPECT_EQ(other.params.values().to_host<float>(), whole.params.values().to_host<float>());
}

}  // namespace
}  // namespace kagami
