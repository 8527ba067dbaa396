#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_op;
using test::random_tensor;
using test::with_parameters;
using test::with_weight;

struct Form {
  const char* name;
  bool relu, residual, training;
  int groups;
};

constexpr Form forms[] = {
    {"plain", false, false, true, 1},           {"relu", true, false, true, 1},  {"residual", false, true, true, 1},
    {"residual relu", true, true, true, 1},     {"groups", true, true, true, 2}, {"evaluation", true, true, false, 1},
    {"evaluation plain", true, false, false, 1}};

BatchNormOptions options_of(const Form& form) {
  BatchNormOptions options;
  options.training = form.training;
  options.groups = form.groups;
  return options;
}

/// x, w, gamma, beta, residual.
const std::vector<Shape> shapes{{4, 4, 3, 3}, {4, 3, 3, 3}, {4}, {4}, {4, 4, 3, 4}};

Tensor fused_with(const Form& form, const std::vector<Tensor>& x, const Weight& w, const Tensor& mean,
                  const Tensor& var) {
  return conv_bn_act(x[0], w, x[2], x[3], mean, var, 1, 1, options_of(form), form.relu,
                     form.residual ? x[4] : Tensor());
}
Tensor fused(const Form& form, const std::vector<Tensor>& x, const Tensor& mean, const Tensor& var) {
  return fused_with(form, x, x[1], mean, var);
}

Tensor unfused(const Form& form, const std::vector<Tensor>& x, const Tensor& mean, const Tensor& var) {
  Tensor y = batch_norm(conv2d(x[0], x[1], 1, 1), x[2], x[3], mean, var, options_of(form));
  if (form.residual) y = add(y, x[4]);
  return form.relu ? relu(y) : y;
}

std::vector<Tensor> inputs_of(const Form& form, DType dtype) {
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < (form.residual ? 5U : 4U); ++i)
    inputs.push_back(random_tensor(shapes[i], dtype, 11 + static_cast<unsigned>(i)).requires_grad());
  return inputs;
}

using Chain = Tensor (*)(const Form&, const std::vector<Tensor>&, const Tensor&, const Tensor&);

/// Output, gradients and running statistics.
std::vector<Tensor> results(Chain chain, const Form& form, DType dtype) {
  const std::vector<Tensor> inputs = inputs_of(form, dtype);
  const Tensor mean = random_tensor({4}, dtype, 31), var = random_tensor({4}, dtype, 32, 1, 2);
  const Tensor y = chain(form, inputs, mean, var);
  std::vector<Tensor> all{y.clone(), mean, var};
  backward(y, random_tensor(y.shape(), dtype, 41));
  for (const Tensor& t : inputs) all.push_back(t.grad());
  return all;
}

TEST(ConvBnAct, AgreesWithTheUnfusedChain) {
  for (const Form& form : forms)
    for (const auto& [dtype, tolerance] : {std::pair{DType::f64, 1e-12}, std::pair{DType::f32, 5e-6}}) {
      SCOPED_TRACE(form.name);
      const std::vector<Tensor> got = results(fused, form, dtype), want = results(unfused, form, dtype);
      ASSERT_EQ(got.size(), want.size());
      for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_LE(test::relative_error(got[i], want[i]), tolerance) << "result " << i;
    }
}

TEST(ConvBnAct, Gradients) {
  for (const Form& form : {forms[1], forms[3], forms[4]}) {
    std::vector<Shape> used = shapes;
    if (!form.residual) used.pop_back();
    check_op(
        with_parameters(with_weight(form.name, used,
                                    [&form](const auto& x, const Weight& w) { return fused_with(form, x, w, {}, {}); }),
                        {1, 2, 3}));
  }
}

TEST(ConvBnAct, ResidualIsTheInput) {
  // Of a size where no output lies on ReLU's edge: bf16 may round such a one to the other side.
  check_op(with_weight("identity block", {{3, 3, 3, 4}, {4, 3, 3, 4}}, [](const auto& x, const Weight& w) {
    const Tensor h = gelu(x[0]);
    return conv_bn_act(h, w, {}, {}, {}, {}, 1, 1, {}, true, h);
  }));
}

TEST(ConvBnAct, AResidualMayBeginAnywhere) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  const auto run = [&](std::int64_t first) {
    const auto tensor = [](const Shape& shape, unsigned seed) {
      return random_tensor(shape, DType::f32, seed).to(Device::cuda(0));
    };
    const Tensor x = tensor({2, 4, 4, 8}, 1).requires_grad(), w = tensor({8, 3, 3, 8}, 2).requires_grad();
    const Tensor memory = Tensor::zeros({257}, DType::f32, x.device());
    const Tensor residual = memory.rows(first, 256);
    residual.copy_from(tensor({256}, 3));
    const Tensor y = conv_bn_act(x, w, {}, {}, {}, {}, 1, 1, {}, true, residual.view({2, 4, 4, 8}));
    backward(mean(mul(y, y)));
    return std::pair{y.to_host<float>(), x.grad().to_host<float>()};
  };
  EXPECT_EQ(run(0), run(1));
}

TEST(ConvBnAct, KeepsOnlyWhatItsGradientNeeds) {
  const Form form = forms[1];
  const std::vector<Tensor> inputs = inputs_of(form, DType::f32);
  const Arena& memory = Device::cpu().memory();
  const auto live = [&] { return memory.stats().live_by_use[static_cast<int>(MemoryUse::activations)]; };
  const std::size_t before = live();
  const Tensor y = fused(form, inputs, {}, {});
  // The convolution's output, y, and five statistics of four channels; the arena rounds blocks up.
  EXPECT_LE(live() - before, 2 * y.bytes() + 1024);
  const NoGrad no_grad;
  const std::size_t inference = live();
  const Tensor z = fused(form, inputs, {}, {});
  EXPECT_LE(live() - inference, z.bytes() + 512);
}

TEST(ConvBnAct, ErrorsNameTheResidual) {
  const std::vector<Tensor> x = inputs_of(forms[0], DType::f32);
  EXPECT_THROW(conv_bn_act(x[0], x[1], x[2], x[3], {}, {}, 1, 1, {}, true, random_tensor({4, 4, 3, 3}, DType::f32, 1)),
               InputError);
}

}  // namespace
}  // namespace kagami
