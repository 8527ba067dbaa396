// Fits y = sin(3x) with a network of one hidden layer.
#include <cmath>
#include <cstdio>

#include "engine/module.h"
#include "engine/ops.h"
#include "engine/optimizer.h"
using namespace kagami;

int main() {
  const Device device = Device::cpu();
  Params params;
  const Weight& w1 = params.weight("w1", {64, 1}, Init::uniform(4));
  const Tensor& b1 = params.parameter("b1", {64}, Init::uniform(2));
  const Weight& w2 = params.weight("w2", {1, 64}, Init::linear_default(64));
  const Tensor& b2 = params.parameter("b2", {1}, Init::zeros());
  params.allocate(device, DType::f32, 1);

  std::vector<float> xs, ys;
  for (int i = 0; i < 256; ++i) xs.push_back(float(i) / 128 - 1), ys.push_back(std::sin(3 * xs.back()));
  const Tensor x = Tensor::from(xs, {256, 1}, device), y = Tensor::from(ys, {256, 1}, device);

  const auto optimizer = make_adamw(params, {});
  StepState state(device);
  double last = 0;
  for (int step = 0; step < 500; ++step) {
    const Tensor error = sub(linear(gelu(linear(x, w1, b1)), w2, b2), y);
    const Tensor loss = mean(mul(error, error));
    params.zero_grad();
    backward(loss);
    StepScalars scalars = state.host();
    scalars.step = step;
    scalars.momentum = 0.9F;
    set_learning_rates(scalars, params, 0.01, 1.0);
    state.set(scalars);
    optimizer->step(state);
    last = loss.item();
    if (step % 100 == 0) std::printf("step %d loss %.5f\n", step, last);
  }
  std::printf("final loss %.6f\n", last);
  return last < 1e-3 ? 0 : 1;
}
