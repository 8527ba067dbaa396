#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::OpCase;

Tensor doubles(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, Device::cpu());
}

/// op at each point, against values known beforehand.
void expect_values(const char* name, Tensor (*op)(const Tensor&), const std::vector<double>& x,
                   const std::vector<double>& expected) {
  const std::vector<double> y = op(doubles(x)).to_host<double>();
  ASSERT_EQ(y.size(), expected.size());
  for (std::size_t i = 0; i < y.size(); ++i)
    EXPECT_TRUE(y[i] == expected[i] || std::abs(y[i] - expected[i]) <= 1e-14 * (1 + std::abs(expected[i])))
        << name << '(' << x[i] << ") = " << y[i] << ", expected " << expected[i];
}

TEST(OpsArithmetic, Gradients) {
  check_op({"add", {{4, 3}, {4, 3}}, [](const auto& x) { return add(x[0], x[1]); }});
  check_op({"add row", {{4, 3}, {3}}, [](const auto& x) { return add(x[0], x[1]); }});
  check_op({"sub", {{4, 3}, {4, 3}}, [](const auto& x) { return sub(x[0], x[1]); }});
  check_op({"sub column", {{4, 1}, {4, 3}}, [](const auto& x) { return sub(x[0], x[1]); }});
  check_op({"sub same", {{5}}, [](const auto& x) { return sub(scale(x[0], 3), x[0]); }});
  check_op({"mul", {{4, 3}, {2, 1, 3}}, [](const auto& x) { return mul(x[0], x[1]); }});
  check_op({"div", {{4, 3}, {4, 3}}, [](const auto& x) { return div(x[0], x[1]); }, 0.5, 2});
  check_op({"div scalar", {{}, {4, 3}}, [](const auto& x) { return div(x[0], x[1]); }, 0.5, 2});
  check_op({"scale", {{4, 3}}, [](const auto& x) { return scale(x[0], -1.7); }});
  check_op({"add_scalar", {{4, 3}}, [](const auto& x) { return mul(add_scalar(x[0], 0.3), x[0]); }});
  check_op({"neg", {{4, 3}}, [](const auto& x) { return neg(x[0]); }});
}

TEST(OpsArithmetic, Values) {
  const Tensor a = doubles({1, -2, 6}), b = doubles({4, 8, -3});
  EXPECT_EQ(add(a, b).to_host<double>(), (std::vector<double>{5, 6, 3}));
  EXPECT_EQ(sub(a, b).to_host<double>(), (std::vector<double>{-3, -10, 9}));
  EXPECT_EQ(mul(a, b).to_host<double>(), (std::vector<double>{4, -16, -18}));
  EXPECT_EQ(div(a, b).to_host<double>(), (std::vector<double>{0.25, -0.25, -2}));
  EXPECT_EQ(scale(a, 0.5).to_host<double>(), (std::vector<double>{0.5, -1, 3}));
  EXPECT_EQ(add_scalar(a, 0.5).to_host<double>(), (std::vector<double>{1.5, -1.5, 6.5}));
  EXPECT_EQ(neg(a).to_host<double>(), (std::vector<double>{-1, 2, -6}));
}

TEST(OpsArithmetic, ErrorsNameTheOp) {
  const Tensor a = doubles({1, 2}), f = Tensor::full({2}, 1, DType::f32, Device::cpu());
  try {
    div(a, f);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "div: inputs differ in type: [2] f64 cpu and [2] f32 cpu");
  }
  EXPECT_THROW(sub(a, doubles({1, 2, 3})), InputError);
  EXPECT_THROW(neg(Tensor::full({2}, 1, DType::i32, Device::cpu())), InputError);
  EXPECT_THROW(neg(Tensor()), InputError);
}

TEST(OpsMath, Gradients) {
  check_op({"exp", {{4, 3}}, [](const auto& x) { return exp(x[0]); }});
  check_op({"log", {{4, 3}}, [](const auto& x) { return log(x[0]); }, 0.3, 2});
  check_op({"sqrt", {{4, 3}}, [](const auto& x) { return sqrt(x[0]); }, 0.3, 2});
  check_op({"pow", {{4, 3}}, [](const auto& x) { return pow(x[0], 1.7); }, 0.3, 2});
  check_op({"pow square", {{4, 3}}, [](const auto& x) { return pow(x[0], 2); }});
  check_op({"abs", {{4, 3}}, [](const auto& x) { return abs(x[0]); }});
}

TEST(OpsMath, Values) {
  expect_values("exp", exp, {0, 1, -2}, {1, 2.718281828459045, 0.1353352832366127});
  expect_values("log", log, {1, 10, 0}, {0, 2.302585092994046, -std::numeric_limits<double>::infinity()});
  expect_values("sqrt", sqrt, {0, 2, 9}, {0, 1.4142135623730951, 3});
  expect_values("abs", abs, {0, 2, -9}, {0, 2, 9});
  EXPECT_EQ(pow(doubles({2, 3, -4}), 3).to_host<double>(), (std::vector<double>{8, 27, -64}));
}

TEST(OpsMath, GradientsAtTheEdges) {
  Tensor x = doubles({0, 0});
  x.requires_grad();
  backward(add(abs(x), pow(x, 0)), doubles({1, 1}));
  EXPECT_EQ(x.grad().to_host<double>(), (std::vector<double>{0, 0}));
}

TEST(OpsActivation, Gradients) {
  check_op({"relu", {{4, 3}}, [](const auto& x) { return relu(x[0]); }});
  check_op({"gelu", {{4, 3}}, [](const auto& x) { return gelu(x[0]); }});
  check_op({"sigmoid", {{4, 3}}, [](const auto& x) { return sigmoid(x[0]); }});
  check_op({"tanh", {{4, 3}}, [](const auto& x) { return tanh(x[0]); }});
  check_large({"relu", {{300, 211}}, [](const auto& x) { return relu(x[0]); }});
}

TEST(OpsActivation, Values) {
  expect_values("relu", relu, {-1, 0, 2}, {0, 0, 2});
  expect_values("gelu", gelu, {0, 1, -1}, {0, 0.8413447460685429, -0.15865525393145705});
  expect_values("sigmoid", sigmoid, {0, 2, -2, 800, -800}, {0.5, 0.8807970779778823, 0.11920292202211755, 1, 0});
  expect_values("tanh", tanh, {0, 0.5, -400}, {0, 0.46211715726000975, -1});
}

TEST(OpsActivation, NaNIsNotHidden) {
  const Tensor nan = doubles({std::numeric_limits<double>::quiet_NaN()});
  EXPECT_TRUE(std::isnan(relu(nan).item()));
  EXPECT_TRUE(std::isnan(clamp(nan, -1, 1).item()));
}

TEST(OpsChoice, Gradients) {
  check_op({"clamp", {{6, 3}}, [](const auto& x) { return clamp(x[0], -0.7, 0.9); }});
  const OpCase choice{
      "where", {{4, 3}, {4, 3}, {3}}, [](const auto& x) { return where(relu(x[0]), x[1], x[2]); }, -2, 2, 2e-7, 2e-5,
      {0}};
  check_op(choice);
}

TEST(OpsChoice, Values) {
  EXPECT_EQ(clamp(doubles({-3, 0.5, 3}), -1, 1).to_host<double>(), (std::vector<double>{-1, 0.5, 1}));
  EXPECT_THROW(clamp(doubles({1}), 1, -1), InputError);
  const Tensor mask = Tensor::from(std::vector<std::uint8_t>{1, 0, 7}, {3}, Device::cpu());
  EXPECT_EQ(where(mask, doubles({1, 2, 3}), doubles({4})).to_host<double>(), (std::vector<double>{1, 4, 3}));
}

}  // namespace
}  // namespace kagami
