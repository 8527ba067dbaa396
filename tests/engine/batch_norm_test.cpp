#include <gtest/gtest.h>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_op;
using test::OpCase;
using test::random_tensor;
using test::with_parameters;

Tensor empty_or(const std::vector<Tensor>& x, std::size_t i) { return i < x.size() ? x[i] : Tensor(); }

Tensor training_norm(const std::vector<Tensor>& x, int groups = 1) {
  BatchNormOptions options;
  options.groups = groups;
  return batch_norm(x[0], empty_or(x, 1), empty_or(x, 2), {}, {}, options);
}

Tensor running(const Tensor& like, std::int64_t channels, double value) {
  return Tensor::full({channels}, value, wide_of(like.dtype()), like.device());
}

TEST(BatchNormOp, Gradients) {
  check_op(with_parameters({"rows", {{6, 3}, {3}, {3}}, [](const auto& x) { return training_norm(x); }}, {1, 2}));
  check_op(
      with_parameters({"images", {{2, 3, 2, 4}, {4}, {4}}, [](const auto& x) { return training_norm(x); }}, {1, 2}));
  check_op(with_parameters({"groups", {{6, 3}, {3}, {3}}, [](const auto& x) { return training_norm(x, 2); }}, {1, 2}));
  check_op({"not affine", {{6, 3}}, [](const auto& x) { return training_norm(x); }});
  check_op(with_parameters({"evaluation",
                            {{6, 3}, {3}, {3}},
                            [](const auto& x) {
                              BatchNormOptions options;
                              options.training = false;
                              return batch_norm(x[0], x[1], x[2], running(x[0], 3, 0.5), running(x[0], 3, 2), options);
                            }},
                           {1, 2}));
}

TEST(BatchNormOp, GroupsEqualSeparateForwards) {
  const Device cpu = Device::cpu();
  const Tensor x = random_tensor({8, 2, 2, 5}, DType::f64, 1), gamma = random_tensor({5}, DType::f64, 2);
  const Tensor beta = random_tensor({5}, DType::f64, 3);
  const Tensor mean = Tensor::zeros({5}, DType::f64, cpu), var = Tensor::full({5}, 1, DType::f64, cpu);
  const Tensor mean_apart = mean.clone(), var_apart = var.clone();
  BatchNormOptions options;
  const Tensor first = batch_norm(x.rows(0, 4), gamma, beta, mean_apart, var_apart, options);
  const Tensor second = batch_norm(x.rows(4, 4), gamma, beta, mean_apart, var_apart, options);
  options.groups = 2;
  const Tensor both = batch_norm(x, gamma, beta, mean, var, options);
  EXPECT_EQ(both.rows(0, 4).to_host<double>(), first.to_host<double>());
  EXPECT_EQ(both.rows(4, 4).to_host<double>(), second.to_host<double>());
  EXPECT_LE(test::relative_error(mean, mean_apart), 1e-15);
  EXPECT_LE(test::relative_error(var, var_apart), 1e-15);
}

void expect_error(const std::function<void()>& f, const std::string& part) {
  try {
    f();
    FAIL() << "no error with '" << part << "'";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(BatchNormOp, ErrorsSayWhatIsWrong) {
  const Tensor x = random_tensor({4, 3}, DType::f64, 1), two = random_tensor({2}, DType::f64, 2);
  expect_error([&] { batch_norm(x.rows(0, 1), {}, {}, {}, {}); }, "more than one value per channel");
  expect_error([&] { training_norm({x}, 4); }, "more than one value per channel");
  expect_error([&] { training_norm({x}, 3); }, "3 groups");
  expect_error([&] { batch_norm(x, two, {}, {}, {}); }, "x has 3 channels (x: [4,3] f64 cpu)");
  BatchNormOptions options;
  options.training = false;
  expect_error([&] { batch_norm(x, {}, {}, {}, {}, options); }, "running statistics");
}

}  // namespace
}  // namespace kagami
