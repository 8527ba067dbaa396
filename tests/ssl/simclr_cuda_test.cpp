#include <gtest/gtest.h>

#include <cmath>

#include "engine/autograd.h"
#include "engine/optimizer.h"
#include "ssl/method.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

/// ResNet-8, narrow, on two views of four images of 8 x 8.
PretrainConfig small_config() {
  PretrainConfig config;
  method_info("simclr").defaults(config);
  config.arch = "resnet8";
  config.stem = "cifar-s2";
  config.width = 8;
  config.projector_hidden = 16;
  config.projector_dim = 8;
  config.seed = 3;
  return config;
}

struct Trained {
  double loss;        // of the first step
  Tensor gradient;    // flat, of the first step
  Tensor parameters;  // flat, after the last
  Tensor running;     // flat buffers
};

Trained train(Device device, int steps) {
  const auto method = method_info("simclr").make(small_config(), device, DType::f32);
  Params& params = method->params();
  const auto optimizer = make_sgd(params, {.weight_decay = 1e-4}, true);
  StepState state(device);
  Trained result{};
  for (int step = 0; step < steps; ++step) {
    const Tensor images = test::random_tensor({8, 8, 8, 3}, DType::f32, 40 + static_cast<unsigned>(step));
    params.zero_grad();
    const Tensor loss = method->loss(views_of(images.to(device), 2));
    backward(loss);
    if (step == 0) {
      result.loss = loss.item();
      result.gradient = params.gradients().to(Device::cpu());
    }
    StepScalars scalars;
    scalars.step = static_cast<std::uint32_t>(step);
    set_learning_rates(scalars, params, 1e-3, 1);
    state.set(scalars);
    optimizer->step(state);
  }
  result.parameters = params.values().to(Device::cpu());
  result.running = params.buffers().to(Device::cpu());
  return result;
}

TEST(SimClrCuda, TrainsAsTheCpuDoes) {
  std::string why;
  if (Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  const Trained cpu = train(Device::cpu(), 3), cuda = train(Device::cuda(0), 3), again = train(Device::cuda(0), 3);
  EXPECT_TRUE(std::abs(cuda.loss - cpu.loss) <= 1e-4 * std::abs(cpu.loss)) << cuda.loss << " and " << cpu.loss;
  EXPECT_LE(test::relative_error(cuda.gradient, cpu.gradient), 1e-4);
  EXPECT_LE(test::relative_error(cuda.parameters, cpu.parameters), 1e-5);
  EXPECT_LE(test::relative_error(cuda.running, cpu.running), 1e-5);
  EXPECT_EQ(cuda.parameters.to_host<float>(), again.parameters.to_host<float>()) << "two runs differ";
  EXPECT_GT(test::relative_error(cpu.parameters, Tensor::zeros(cpu.parameters.shape(), DType::f32, Device::cpu())), 0);
}

}  // namespace
}  // namespace kagami
