// Steps recorded as CUDA graphs.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optimizer.h"
#include "engine/step.h"
#include "tests/op_case.h"
#if KAGAMI_EMULATED
#include "kernels/cuda/cuda.h"
#endif

namespace kagami {
namespace {

using test::random_tensor;

class StepCuda : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  }
};

/// A network of one layer, its training and what a step leaves behind.
struct Training {
  Training(const Device& where, bool record)
      : device(where), x(random_tensor({9, 6}, DType::f32, 1).to(device)), state(device), step(device, record) {
    weight = &params.weight("w", {5, 6}, Init::zeros());
    params.allocate(device, DType::f32, 3);
    params.values().copy_from(random_tensor(params.values().shape(), DType::f32, 4).to(device));
    target.weight("w", {5, 6}, Init::zeros());
    target.allocate(device, DType::f32, 3);
    optimizer = make_sgd(params, {}, true, &target);
    step.add(0, [this] { body(); });
  }
  void body() {
    ++bodies;
    params.zero_grad();
    const Tensor h = dropout(linear(x, *weight, {}), 0.3, true, Philox(1, Purpose::dropout, 0, 0, 0), state.data());
    const Tensor value = mean(mul(h, h));
    loss = value.detach();
    backward(value);
    optimizer->step(state);
  }
  /// Steps [first, last) with a rate of their own; their losses.
  std::vector<double> go(std::uint32_t first, std::uint32_t last) {
    std::vector<double> seen;
    for (std::uint32_t i = first; i < last; ++i) {
      StepScalars scalars;
      scalars.step = i;
      scalars.ema_tau = 1 - 0.5 / (1.0 + i);
      set_learning_rates(scalars, params, 0.5, 1 / (1.0 + i));
      state.set(scalars);
      step.run(0);
      seen.push_back(loss.item());
    }
    return seen;
  }
  Device device;
  Tensor x, loss;
  Params params, target;
  Weight* weight;
  std::unique_ptr<Optimizer> optimizer;
  StepState state;
  CapturedStep step;
  int bodies = 0;
};

TEST_F(StepCuda, RecordedStepsEqualEagerOnesBitwise) {
  Training eager(Device::cuda(0), false), recorded(Device::cuda(0), true);
  EXPECT_EQ(recorded.go(0, 7), eager.go(0, 7));
  EXPECT_EQ(recorded.params.values().to_host<float>(), eager.params.values().to_host<float>());
  EXPECT_EQ(recorded.target.values().to_host<float>(), eager.target.values().to_host<float>());
  EXPECT_EQ(recorded.optimizer->state()[0].tensor.to_host<float>(),
            eager.optimizer->state()[0].tensor.to_host<float>());
  EXPECT_EQ(eager.bodies, 7);
  EXPECT_EQ(recorded.bodies, 3) << "two runs, and the one that is recorded";
  EXPECT_EQ(eager.step.kernels(0), 0);
  EXPECT_GT(recorded.step.kernels(0), 5);
}

TEST_F(StepCuda, NothingIsAllocatedAndTheMemoryIsTheStepsOwn) {
  Training eager(Device::cuda(0), false), recorded(Device::cuda(0), true);
  const std::vector<double> expected = eager.go(0, 8);
  std::vector<double> seen = recorded.go(0, 3);
  Arena& memory = Device::cuda(0).memory();
  std::vector<Tensor> kept;  // of the sizes that the step needs
  for (int i = 0; i < 20; ++i)
    for (const Shape& shape : {Shape{9, 5}, Shape{9, 6}, Shape{}, Shape{5, 6}})
      kept.push_back(Tensor::full(shape, 7, DType::f32, Device::cuda(0)));
  const auto before = memory.stats();
  for (const double loss : recorded.go(3, 8)) seen.push_back(loss);
  EXPECT_EQ(memory.stats().system_allocations, before.system_allocations);
  EXPECT_EQ(memory.stats().live, before.live);
  EXPECT_EQ(seen, expected);
  for (const Tensor& t : kept)
    for (const float value : t.to_host<float>()) ASSERT_EQ(value, 7) << "the step wrote into others' memory";
}

/// The message of a program that does this.
std::string refusal(const std::function<void()>& body) {
  CapturedStep step(Device::cuda(0));
  step.add(4, body);
  step.run(4);
  step.run(4);
  try {
    step.run(4);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST_F(StepCuda, AHostReadWithinIsRefusedAndNamed) {
  const Tensor x = random_tensor({9, 6}, DType::f32, 1).to(Device::cuda(0));
  EXPECT_EQ(refusal([&] { (void)mean(x).item(); }),
            "step: program 4 cannot be recorded: cuda:0, in or after op mean: "
            "a read of the device's memory on the "
            "host cannot "
            "be part of a recorded step; move it out of the step, or do it on "
            "the device");
  EXPECT_NE(refusal([&] {
              exp(x);
              Tensor::from(std::vector<float>{1}, {1}, x.device());
            }).find("after op exp: a copy of host memory to the device"),
            std::string::npos);
  EXPECT_NE(refusal([&] { x.device().synchronize(); }).find("a wait for the device"), std::string::npos);
  Tensor leaf = x.clone().requires_grad();
  EXPECT_NE(refusal([&] {
              backward(sum(record("peeks", {leaf}, leaf.clone(), [](const Tensor& dy, Gradients& d) {
                (void)dy.to_host<float>();
                d.add(0, dy);
              })));
            }).find("in the backward pass of peeks: a read"),
            std::string::npos);
  // The device is as usable as before.
  EXPECT_TRUE(std::isfinite(mean(x).item()));
}

TEST_F(StepCuda, GrowingWorkIsRefused) {
  const Tensor x = random_tensor({9, 6}, DType::f32, 1).to(Device::cuda(0));
  std::vector<Tensor> kept;
  const std::string message = refusal([&] { kept.push_back(neg(x)); });
  EXPECT_NE(message.find("an allocation of 256 bytes that the runs before did not make"), std::string::npos) << message;
}

TEST_F(StepCuda, ProgramsTakeTurns) {
  Training one(Device::cuda(0), true), other(Device::cuda(0), false);
  for (Training* t : {&one, &other})
    t->step.add(1, [t] { t->params.values().copy_from(scale(t->params.values().detach(), 0.5)); });
  for (std::uint32_t i = 0; i < 8; ++i)
    for (Training* t : {&one, &other}) {
      t->go(i, i + 1);
      if (i % 2 == 1) t->step.run(1);
    }
  EXPECT_EQ(one.params.values().to_host<float>(), other.params.values().to_host<float>());
  EXPECT_GT(one.step.kernels(1), 0);
  EXPECT_THROW(one.step.rehearse(1, [] {}), InputError);
}

TEST_F(StepCuda, AnIndexThatGoesWrongIsNamedThoughTheStepIsRecorded) {
  const Device device = Device::cuda(0);
  const Tensor x = random_tensor({3, 4}, DType::f32, 1).to(device), wrong = Tensor::full({1}, 3, DType::i32, device);
  const Tensor indices = Tensor::full({1}, 2, DType::i32, device);
  CapturedStep step(device);
  Tensor y;
  step.add(0, [&] { y = gather(x, indices, 0); });
  for (int i = 0; i < 4; ++i) step.run(0);
  EXPECT_EQ(y.to_host<float>()[0], x.to_host<float>()[8]);
  indices.copy_from(wrong);
  step.run(0);
  EXPECT_THROW(y.to_host<float>(), InputError);
  device.synchronize();
}

#if KAGAMI_EMULATED
TEST_F(StepCuda, TheHostGoesAheadOfTheDevice) {
  struct Restore {
    emulator::Config before = emulator::config();
    ~Restore() { emulator::config() = before; }
  } restore;
  Training training(Device::cuda(0), true);
  training.go(0, 4);
  training.device.synchronize();
  Readback back(training.device, 3);
  emulator::config().async = emulator::Async::lazy;
  const auto blocks = emulator::stats().blocks;
  for (int i = 0; i < 3; ++i) {
    training.state.set(training.state.host());
    training.step.run(0);
    back.request(training.loss);
  }
  EXPECT_EQ(emulator::stats().blocks, blocks) << "something waited for the device";
  EXPECT_TRUE(std::isfinite(back.take()));
  EXPECT_GT(emulator::stats().blocks, blocks);
}
#endif

}  // namespace
}  // namespace kagami
