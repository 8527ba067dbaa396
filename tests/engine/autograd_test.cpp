#include "engine/autograd.h"

#include <gtest/gtest.h>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_op;
using test::OpCase;

Tensor leaf(std::vector<double> values, Shape shape) {
  Tensor t = Tensor::from(values, shape, Device::cpu());
  return t.requires_grad();
}

TEST(Autograd, ElementwiseOpsBroadcastAndAccumulate) {
  check_op({"gelu", {{3, 5}}, [](const auto& x) { return gelu(x[0]); }});
  check_op({"mul", {{4, 3}, {4, 3}}, [](const auto& x) { return mul(x[0], x[1]); }});
  check_op({"mul row", {{4, 3}, {3}}, [](const auto& x) { return mul(x[0], x[1]); }});
  check_op({"mul column", {{4, 3}, {4, 1}}, [](const auto& x) { return mul(x[0], x[1]); }});
  check_op({"mul middle", {{2, 3, 4}, {3, 1}}, [](const auto& x) { return mul(x[0], x[1]); }});
  check_op({"mul outer", {{4, 1}, {1, 3}}, [](const auto& x) { return mul(x[0], x[1]); }});
  check_op({"mul scalar", {{}, {2, 3}}, [](const auto& x) { return mul(x[0], x[1]); }});
  check_op({"mul same", {{7}}, [](const auto& x) { return mul(x[0], x[0]); }});
  check_op({"add same", {{7}}, [](const auto& x) { return add(x[0], x[0]); }});
  OpCase chain{"chain", {{2, 3}, {2, 3}}, [](const auto& x) { return gelu(mul(gelu(x[0]), mul(x[1], x[0]))); }};
  chain.bf16_tolerance = 1e-2;  // each of its four ops rounds
  check_op(chain);
  check_op({"fork", {{2, 3}}, [](const auto& x) {
              const Tensor a = gelu(x[0]);
              return add(mul(a, a), add(a, mul(a, x[0])));
            }});
}

TEST(Autograd, ViewsAndRowsPassGradientsThrough) {
  check_op({"view", {{2, 6}}, [](const auto& x) { return mul(x[0].view({3, 4}), x[0].view({3, 4})); }});
  check_op({"rows", {{5, 3}}, [](const auto& x) { return mul(x[0].rows(1, 2), x[0].rows(2, 2)); }});
}

TEST(Autograd, DetachStopsTheGradientExactly) {
  const Tensor x = leaf({1, 2}, {2});
  backward(mul(x, x.detach()), Tensor::full({2}, 1, DType::f64, Device::cpu()));
  EXPECT_EQ(x.grad().to_host<double>(), (std::vector<double>{1, 2}));
}

TEST(Autograd, NoGradRecordsNothing) {
  const Tensor x = leaf({1, 2}, {2});
  const NoGrad no_grad;
  EXPECT_FALSE(mul(x, x).wants_grad());
}

TEST(Autograd, OpsWithSeveralOutputs) {
  const Tensor x = leaf({1, 2, 3}, {3});
  std::vector<Tensor> outputs =
      record("twice", {x}, std::vector<Tensor>{x.clone(), x.clone()}, [](const std::vector<Tensor>& dys, Gradients& d) {
        for (const Tensor& dy : dys)
          if (dy) d.add(0, dy);
      });
  backward(mul(outputs[0], outputs[1]), Tensor::full({3}, 1, DType::f64, Device::cpu()));
  EXPECT_EQ(x.grad().to_host<double>(), (std::vector<double>{2, 4, 6}));
}

TEST(Autograd, GradientsGoIntoGivenMemory) {
  const Tensor flat = Tensor::zeros({4}, DType::f64, Device::cpu());
  const Tensor x = leaf({1, 2}, {2});
  x.set_grad(flat.rows(2, 2));
  backward(mul(x, x), Tensor::full({2}, 1, DType::f64, Device::cpu()));
  EXPECT_EQ(flat.to_host<double>(), (std::vector<double>{0, 0, 2, 4}));
}

TEST(Autograd, DeepGraphsNeitherRecurseForwardNorBackward) {
  const Tensor x = leaf({0.5}, {1});
  Tensor y = x;
  for (int i = 0; i < 200000; ++i) y = add(y, x);
  { const Tensor dropped = add(y, x); }
  backward(y);
  EXPECT_EQ(x.grad().item(), 200001);
  Tensor z = x;
  for (int i = 0; i < 200000; ++i) z = add(z, x);  // never walked: its destructor must not recurse
}

TEST(Autograd, ErrorsSayWhatIsWrong) {
  const Tensor x = leaf({1, 2}, {2});
  const Tensor y = mul(x, x);
  EXPECT_THROW(backward(y), InputError);
  const Tensor loss = y.rows(0, 1);
  backward(loss);
  EXPECT_THROW(backward(loss), InputError) << "a graph is walked once";
  EXPECT_THROW(backward(Tensor::full({1}, 1, DType::f64, Device::cpu())), InputError);
  try {
    mul(x, Tensor::full({3}, 1, DType::f64, Device::cpu()));
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "mul: shapes [2] and [3] do not broadcast");
  }
}

}  // namespace
}  // namespace kagami
