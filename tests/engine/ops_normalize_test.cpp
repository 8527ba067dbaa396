#include <gtest/gtest.h>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::random_tensor;
using test::with_parameters;

TEST(OpsNormalize, Gradients) {
  check_op({"l2_normalize", {{3, 5}}, [](const auto& x) { return l2_normalize(x[0]); }});
  check_op({"l2_normalize", {{2, 2, 3}}, [](const auto& x) { return mul(l2_normalize(x[0]), x[0]); }});
  const auto norm = [](const auto& x) { return layer_norm(x[0], x[1], x[2]); };
  check_op(with_parameters({"layer_norm", {{3, 5}, {5}, {5}}, norm}, {1, 2}));
  check_op(with_parameters({"layer_norm", {{2, 3, 4}, {4}, {4}}, norm}, {1, 2}));
  check_op({"layer_norm with a fixed gamma", {{3, 5}, {5}, {5}}, norm, -2, 2, 2e-7, 2e-5, {1}, {1, 2}});
  check_large({"layer_norm", {{300, 130}, {130}, {130}}, norm});
  check_large({"l2_normalize", {{300, 130}}, [](const auto& x) { return l2_normalize(x[0]); }});
}

TEST(OpsNormalize, TinyRowsAreDividedByEps) {
  Tensor x = Tensor::from(std::vector<double>{0, 0, 3e-13, 4e-13, 3, 4}, {3, 2}, Device::cpu());
  x.requires_grad();
  const Tensor y = l2_normalize(x);
  const std::vector<double> expected{0, 0, 0.3, 0.4, 0.6, 0.8};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(y.data<double>()[i], expected[i], 1e-15);
  backward(y, Tensor::full({3, 2}, 1, DType::f64, Device::cpu()));
  const std::vector<double> gradient{1e12, 1e12, 1e12, 1e12, 0.032, -0.024};
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(x.grad().data<double>()[i] / gradient[i], 1, 1e-12) << "as torch.nn.functional.normalize's " << i;
}

TEST(OpsNormalize, GradientIsOrthogonalToTheRow) {
  Tensor x = random_tensor({6, 9}, DType::f64, 1);
  x.requires_grad();
  backward(l2_normalize(x), random_tensor({6, 9}, DType::f64, 2));
  for (const double along : sum(mul(x.detach(), x.grad()), 1).to_host<double>()) EXPECT_NEAR(along, 0, 1e-14);
}

TEST(OpsNormalize, ErrorsSayWhatIsWrong) {
  const Tensor x = random_tensor({3, 5}, DType::f64, 1), five = random_tensor({5}, DType::f64, 2);
  EXPECT_THROW(l2_normalize(Tensor()), InputError);
  EXPECT_THROW(l2_normalize(random_tensor({}, DType::f64, 1)), InputError);
  EXPECT_THROW(layer_norm(x, five, Tensor()), InputError);
  EXPECT_THROW(layer_norm(x, five, random_tensor({5}, DType::f32, 2)), InputError);
  try {
    layer_norm(x, five, random_tensor({3}, DType::f64, 2));
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(),
                 "layer_norm: gamma ([5] f64 cpu) and beta ([3] f64 cpu) must be [5] f64 beside x ([3,5] f64 cpu)");
  }
}

}  // namespace
}  // namespace kagami
