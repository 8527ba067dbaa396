#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::random_tensor;

Tensor grid() { return Tensor::from(std::vector<double>{1, 5, -2, 5, 0, 4}, {2, 3}, Device::cpu()); }

TEST(OpsReduce, Gradients) {
  for (const int axis : {0, 1, -1})
    for (const bool keep : {false, true}) {
      check_op({"sum", {{3, 4, 5}}, [=](const auto& x) { return sum(x[0], axis, keep); }});
      check_op({"mean", {{3, 4, 5}}, [=](const auto& x) { return mean(x[0], axis, keep); }});
      check_op({"max", {{3, 4, 5}}, [=](const auto& x) { return max(x[0], axis, keep); }});
      check_op({"min", {{3, 4, 5}}, [=](const auto& x) { return min(x[0], axis, keep); }});
      check_op({"var", {{3, 4, 5}}, [=](const auto& x) { return var(x[0], axis, Variance::unbiased, keep); }});
      check_op({"var", {{3, 4, 5}}, [=](const auto& x) { return var(x[0], axis, Variance::biased, keep); }});
    }
}

TEST(OpsReduce, GradientsOverEverything) {
  check_op({"sum", {{3, 4}}, [](const auto& x) { return sum(x[0]); }});
  check_op({"mean", {{3, 4}}, [](const auto& x) { return mean(x[0]); }});
  check_op({"max", {{3, 4}}, [](const auto& x) { return max(x[0]); }});
  check_op({"min", {{3, 4}}, [](const auto& x) { return min(x[0]); }});
  check_op({"var", {{3, 4}}, [](const auto& x) { return var(x[0], Variance::unbiased); }});
}

TEST(OpsReduce, LongAxesAreCutAndMergedTheSameWithAnyThreads) {
  for (const Shape& shape : {Shape{3, 10007}, Shape{10007, 3}, Shape{1, 4500, 70}}) {
    check_large({"mean", {shape}, [](const auto& x) { return mean(x[0], x[0].rank() - 2); }});
    check_large({"mean", {shape}, [](const auto& x) { return mean(x[0]); }});
    check_large({"max", {shape}, [](const auto& x) { return max(x[0], -1); }});
    check_large({"max", {shape}, [](const auto& x) { return max(x[0]); }});
    check_large({"var", {shape}, [](const auto& x) { return var(x[0], x[0].rank() - 2, Variance::unbiased); }});
    check_large({"var", {shape}, [](const auto& x) { return var(x[0], Variance::biased); }});
  }
}

TEST(OpsReduce, Values) {
  EXPECT_EQ(sum(grid()).item(), 13);
  EXPECT_EQ(sum(grid()).shape(), Shape{});
  EXPECT_EQ(sum(grid(), 0).to_host<double>(), (std::vector<double>{6, 5, 2}));
  EXPECT_EQ(mean(grid(), -1, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(mean(grid(), 0).to_host<double>(), (std::vector<double>{3, 2.5, 1}));
  EXPECT_EQ(max(grid(), 1).to_host<double>(), (std::vector<double>{5, 5}));
  EXPECT_EQ(min(grid(), 0).to_host<double>(), (std::vector<double>{1, 0, -2}));
  EXPECT_EQ(var(grid(), 0, Variance::biased).to_host<double>(), (std::vector<double>{4, 6.25, 9}));
  EXPECT_EQ(var(grid(), 0, Variance::unbiased).to_host<double>(), (std::vector<double>{8, 12.5, 18}));
}

TEST(OpsReduce, GradientOfMaxGoesToTheFirstOfEqualValues) {
  std::vector<double> values(40, 1);
  values[11] = values[17] = values[30] = 3;
  values[5] = values[21] = -2;
  Tensor x = Tensor::from(values, {40}, Device::cpu());
  x.requires_grad();
  backward(add(max(x), scale(min(x), 10)));
  std::vector<double> expected(40, 0);
  expected[11] = 1;
  expected[5] = 10;
  EXPECT_EQ(x.grad().to_host<double>(), expected);
}

TEST(OpsReduce, NaNIsNotHidden) {
  for (const std::int64_t at : {0, 7, 19}) {
    std::vector<double> values(20, 1);
    values[static_cast<std::size_t>(at)] = std::numeric_limits<double>::quiet_NaN();
    const Tensor x = Tensor::from(values, {20}, Device::cpu());
    EXPECT_TRUE(std::isnan(max(x).item())) << at;
    EXPECT_TRUE(std::isnan(min(x).item())) << at;
  }
}

TEST(OpsReduce, VarianceKeepsItsDigitsFarFromZero) {
  const Tensor x = add_scalar(random_tensor({20000}, DType::f64, 3), 1e7);
  const double expected = var(random_tensor({20000}, DType::f64, 3), Variance::biased).item();
  EXPECT_NEAR(var(x, Variance::biased).item(), expected, 1e-8);
}

TEST(OpsReduce, SumsInFloatDoNotDrift) {
  EXPECT_EQ(sum(Tensor::full({1 << 22}, 0.1F, DType::f32, Device::cpu())).item(), float((1 << 22) * double(0.1F)));
}

TEST(OpsReduce, ErrorsSayWhatIsWrong) {
  EXPECT_THROW(sum(grid(), 2), InputError);
  EXPECT_THROW(sum(Tensor()), InputError);
  EXPECT_THROW(max(Tensor::zeros({3, 0}, DType::f32, Device::cpu()), 1), InputError);
  EXPECT_EQ(sum(Tensor::zeros({3, 0}, DType::f32, Device::cpu()), 1).to_host<float>(), (std::vector<float>{0, 0, 0}));
  try {
    var(Tensor::zeros({1, 4}, DType::f32, Device::cpu()), 0, Variance::unbiased);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "var: needs at least 2 values to reduce, x ([1,4] f32 cpu) has 1");
  }
}

}  // namespace
}  // namespace kagami
