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
using test::relative_error;

Tensor labels_of(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, Device::cpu());
}

TEST(OpsSoftmax, Gradients) {
  for (const int axis : {0, 1, -1}) {
    check_op({"softmax", {{3, 4, 5}}, [=](const auto& x) { return softmax(x[0], axis); }});
    check_op({"log_softmax", {{3, 4, 5}}, [=](const auto& x) { return log_softmax(x[0], axis); }});
  }
  for (const int axis : {0, 1}) {
    check_large({"softmax", {{300, 77}}, [=](const auto& x) { return softmax(x[0], axis); }});
    check_large({"log_softmax", {{300, 77}}, [=](const auto& x) { return log_softmax(x[0], axis); }});
  }
}

TEST(OpsSoftmax, Values) {
  const Tensor x = Tensor::from(std::vector<double>{0, std::log(3), 1000, 1000}, {2, 2}, Device::cpu());
  const std::vector<double> rows{0.25, 0.75, 0.5, 0.5}, columns{0, 0, 1, 1};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(softmax(x, 1).data<double>()[i], rows[i], 1e-15);
    EXPECT_NEAR(softmax(x, 0).data<double>()[i], columns[i], 1e-15);
    EXPECT_NEAR(log_softmax(x, 1).data<double>()[i], std::log(rows[i]), 1e-15);
  }
  EXPECT_NEAR(log_softmax(x, 0).data<double>()[0], -1000, 1e-12) << "the softmax itself is 0";
}

TEST(OpsSoftmax, RowsSumToOneAndShiftsDoNotMatter) {
  const Tensor x = random_tensor({40, 30}, DType::f64, 1, -20, 20);
  for (const double total : sum(softmax(x, 1), 1).to_host<double>()) EXPECT_NEAR(total, 1, 1e-14);
  EXPECT_LE(relative_error(softmax(add_scalar(x, 300), 1), softmax(x, 1)), 1e-12);
  EXPECT_TRUE(std::isnan(softmax(Tensor::full({2}, std::nan(""), DType::f32, Device::cpu()), 0).data<float>()[1]));
}

TEST(OpsCrossEntropy, Gradients) {
  const Tensor labels = labels_of({2, 0, 3, 3}), some = labels_of({2, 100, 3, 100});
  check_op({"cross_entropy", {{4, 5}}, [=](const auto& x) { return cross_entropy(x[0], labels); }});
  check_op({"cross_entropy", {{4, 5}}, [=](const auto& x) { return scale(cross_entropy(x[0], some, 100), -2); }});
  std::vector<std::int32_t> many(500);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int32_t>(i * i % 77);
  check_large({"cross_entropy", {{500, 77}}, [=](const auto& x) { return cross_entropy(x[0], labels_of(many)); }});
}

TEST(OpsCrossEntropy, Values) {
  const Tensor even = Tensor::zeros({3, 8}, DType::f64, Device::cpu());
  EXPECT_NEAR(cross_entropy(even, labels_of({0, 5, 7})).item(), std::log(8), 1e-15);
  const Tensor x = random_tensor({3, 4}, DType::f64, 1);
  const std::vector<double> logs = log_softmax(x, 1).to_host<double>();
  EXPECT_NEAR(cross_entropy(x, labels_of({1, 3, 0})).item(), -(logs[1] + logs[7] + logs[8]) / 3, 1e-15);
  EXPECT_NEAR(cross_entropy(x, labels_of({1, -1, 0}), -1).item(), -(logs[1] + logs[8]) / 2, 1e-15);
}

TEST(OpsCrossEntropy, StableFarFromZero) {
  Tensor x = Tensor::from(std::vector<float>{1e4F, -1e4F}, {1, 2}, Device::cpu());
  x.requires_grad();
  const Tensor loss = cross_entropy(x, labels_of({1}));
  EXPECT_EQ(loss.item(), 2e4);
  backward(loss);
  EXPECT_EQ(x.grad().to_host<float>(), (std::vector<float>{1, -1}));
}

TEST(OpsCrossEntropy, ErrorsSayWhatIsWrong) {
  const Tensor x = random_tensor({2, 4}, DType::f32, 1);
  EXPECT_THROW(cross_entropy(x, labels_of({1})), InputError);
  EXPECT_THROW(cross_entropy(x, random_tensor({2}, DType::f32, 1)), InputError);
  EXPECT_THROW(cross_entropy(x, labels_of({1, -1})), InputError);
  EXPECT_THROW(cross_entropy(x, labels_of({9, 9}), 9), InputError);
  EXPECT_THROW(softmax(x, 2), InputError);
  EXPECT_THROW(log_softmax(Tensor(), 0), InputError);
  try {
    cross_entropy(x, labels_of({1, 4}));
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "cross_entropy: labels[1] = 4 is none of the 4 classes (logits: [2,4] f32 cpu)");
  }
}

}  // namespace
}  // namespace kagami
