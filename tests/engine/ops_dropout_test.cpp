#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops.h"
#include "engine/step.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::random_tensor;

Philox stream(std::uint32_t step) { return Philox::per_step(7, Purpose::dropout, step); }

TEST(OpsDropout, Gradients) {
  check_op({"dropout", {{5, 7}}, [](const auto& x) { return dropout(x[0], 0.4, true, stream(1)); }});
  check_op({"dropout", {{3}}, [](const auto& x) { return mul(dropout(x[0], 0.4, false, stream(1)), x[0]); }});
  check_large({"dropout", {{300, 131}}, [](const auto& x) { return dropout(x[0], 0.4, true, stream(1)); }});
}

TEST(OpsDropout, KeepsTheShareAndTheMean) {
  constexpr int count = 100003;
  for (const double probability : {0.1, 0.5, 0.9}) {
    const Tensor ones = Tensor::full({count}, 1, DType::f64, Device::cpu());
    int kept = 0;
    for (const double y : dropout(ones, probability, true, stream(3)).to_host<double>()) {
      EXPECT_TRUE(y == 0 || std::abs(y * (1 - probability) - 1) <= 1e-15);
      kept += y != 0;
    }
    const double deviation = std::sqrt(probability * (1 - probability) / count);
    EXPECT_NEAR(static_cast<double>(kept) / count, 1 - probability, 5 * deviation);
  }
}

TEST(OpsDropout, TheStepCanBeReadInTheDevicesMemory) {
  for (const Device& device : test::every_device()) {
    StepState state(device);
    const Tensor x = random_tensor({1001}, DType::f32, 1).to(device);
    Tensor z = x.clone().requires_grad();
    for (const std::uint32_t step : {0U, 5U}) {
      StepScalars scalars;
      scalars.step = step;
      state.set(scalars);
      const std::vector<float> expected = dropout(x, 0.5, true, stream(step)).to_host<float>();
      const Tensor y = dropout(z, 0.5, true, stream(77), state.data());
      EXPECT_EQ(y.to_host<float>(), expected) << device << ", step " << step;
      z.set_grad({});
      backward(y, x);
      EXPECT_EQ(z.grad().to_host<float>(), expected) << device << ", step " << step;
    }
  }
}

TEST(OpsDropout, StepsDifferAndRepeat) {
  const Tensor x = random_tensor({1000}, DType::f32, 1);
  const auto values = [&](std::uint32_t step) { return dropout(x, 0.5, true, stream(step)).to_host<float>(); };
  EXPECT_EQ(values(1), values(1));
  EXPECT_NE(values(1), values(2));
}

TEST(OpsDropout, EvaluationAndProbabilityZeroChangeNothing) {
  const Tensor x = random_tensor({100}, DType::f32, 1);
  EXPECT_EQ(dropout(x, 0.5, false, stream(1)).to_host<float>(), x.to_host<float>());
  EXPECT_EQ(dropout(x, 0, true, stream(1)).to_host<float>(), x.to_host<float>());
}

TEST(OpsDropout, ErrorsSayWhatIsWrong) {
  const Tensor x = random_tensor({4}, DType::f32, 1);
  EXPECT_THROW(dropout(x, -0.1, true, stream(1)), InputError);
  EXPECT_THROW(dropout(x, std::nan(""), true, stream(1)), InputError);
  EXPECT_THROW(dropout(Tensor(), 0.5, true, stream(1)), InputError);
  try {
    dropout(x, 1, true, stream(1));
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "dropout: the probability is 1; it must be at least 0 and below 1");
  }
}

}  // namespace
}  // namespace kagami
