#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/autograd.h"
#include "engine/optimizer.h"
#include "ssl/method.h"
#include "ssl/micro_batch.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

/// ResNet-8, narrow, for images of 8 x 8.
PretrainConfig small_config(std::uint64_t seed = 3) {
  PretrainConfig config;
  method_info("simclr").defaults(config);
  config.arch = "resnet8";
  config.stem = "cifar-s2";
  config.width = 8;
  config.projector_hidden = 16;
  config.projector_dim = 8;
  config.seed = seed;
  return config;
}

struct Trained {
  double loss;        // of the first step
  Tensor gradient;    // flat, of the first step
  Tensor parameters;  // flat, after the last
  Tensor running;     // flat buffers
};

/// The loss of two views, its gradient in the parameters; in parts of so many images, or (0) in one piece.
Tensor loss_and_gradient(Method& method, const Views& views, int part) {
  if (part > 0) return backward_in_parts(dynamic_cast<ContrastiveMethod&>(method), views, part);
  const Tensor loss = method.loss(views);
  backward(loss);
  return loss;
}

/// Steps on two views of `images` images.
Trained train(Device device, int steps, const Precision& precision = DType::f32, int images = 4, std::uint64_t seed = 3,
              int part = 0) {
  const auto method = method_info("simclr").make(small_config(seed), device, precision);
  Params& params = method->params();
  const auto optimizer = make_sgd(params, {.weight_decay = 1e-4}, true);
  StepState state(device);
  Trained result{};
  for (int step = 0; step < steps; ++step) {
    const Tensor views = test::random_tensor({2 * images, 8, 8, 3}, DType::f32, 40 + static_cast<unsigned>(step));
    params.zero_grad();
    const Tensor loss = loss_and_gradient(*method, views_of(views.to(device), 2), part);
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

double cosine(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_host<double>(), y = b.to_host<double>();
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  return xy / std::sqrt(xx * yy);
}

/// How near a step is to the CPU's in fp32, from several initial networks. (With four images, statistics of so few
/// values make the gradient itself depend on the last digits.)
void expect_near(const Precision& precision, double loss_tolerance, double least_cosine, int part = 0) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Trained cpu = train(Device::cpu(), 1, DType::f32, 8, seed, part);
    const Trained ours = train(Device::cuda(0), 1, precision, 8, seed, part);
    EXPECT_TRUE(std::abs(ours.loss - cpu.loss) <= loss_tolerance * std::abs(cpu.loss)) << ours.loss << ", " << cpu.loss;
    const double alike = cosine(ours.gradient, cpu.gradient);
    EXPECT_TRUE(alike >= least_cosine) << "seed " << seed << ": " << alike;
  }
  const Trained first = train(Device::cuda(0), 2, precision), again = train(Device::cuda(0), 2, precision);
  EXPECT_EQ(first.parameters.to_host<float>(), again.parameters.to_host<float>()) << "two runs differ";
}

TEST(SimClrCuda, AStepInBf16IsNearTheCpus) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  expect_near(Precision::mixed_bf16(), 1e-2, 0.9);
}

TEST(SimClrCuda, AStepInPartsIsNearTheCpus) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  expect_near(DType::f32, 1e-5, 0.9999, 4);
  expect_near(Precision::mixed_bf16(), 1e-2, 0.9, 4);
}

TEST(SimClrCuda, AStepInTf32IsNearTheCpus) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  expect_near(Precision::tf32_products(), 2e-3, 0.99);
}

TEST(SimClrCuda, StepsInBf16LowerTheLoss) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  const Device cuda = Device::cuda(0);
  const auto method = method_info("simclr").make(small_config(), cuda, Precision::mixed_bf16());
  const auto optimizer = make_sgd(method->params(), {}, true);
  StepState state(cuda);
  const Views views = views_of(test::random_tensor({8, 8, 8, 3}, DType::f32, 40).to(cuda), 2);
  std::vector<double> losses;
  for (int step = 0; step < 6; ++step) {
    method->params().zero_grad();
    const Tensor loss = method->loss(views);
    EXPECT_EQ(loss.dtype(), DType::f32);
    losses.push_back(loss.item());
    backward(loss);
    StepScalars scalars;
    scalars.step = static_cast<std::uint32_t>(step);
    set_learning_rates(scalars, method->params(), 0.01, 1);
    state.set(scalars);
    optimizer->step(state);
  }
  EXPECT_TRUE(losses.back() < 0.9 * losses.front()) << losses.front() << " became " << losses.back();
  EXPECT_EQ(method->encode(views.images[0]).dtype(), DType::f32);
}

}  // namespace
}  // namespace kagami
