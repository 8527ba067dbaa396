// Mixed precision on CUDA: compute copies and who keeps them up to date, mixed
// operands, tf32.
#include "engine/precision.h"

#include <gtest/gtest.h>

#include <functional>

#include "engine/module.h"
#include "engine/ops.h"
#include "engine/optimizer.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;
using test::relative_error;

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

class MixedPrecision : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
    cuda = Device::cuda(0);
  }
  Device cuda = Device::cpu();
};

struct Net {
  explicit Net(const Precision& precision, Device device, std::uint64_t seed = 1)
      : conv(Scope(params).weight("conv.weight", {8, 3, 3, 8}, Init::kaiming_normal_fan_out({8, 3, 3, 8}))),
        gamma(Scope(params).parameter("bn.weight", {8}, Init::ones())),
        fc(Scope(params).child("fc"), 8, 5) {
    params.allocate(device, precision, seed);
  }
  Tensor forward(const Tensor& images) const {
    return fc.forward(global_avg_pool(conv_bn_act(images, conv, gamma, {}, {}, {}, 1, 1)));
  }
  Params params;
  Weight& conv;
  Tensor& gamma;
  Linear fc;
};

void expect_fresh(const Params& params) {
  EXPECT_EQ(params.copies().to_host<float>(), params.values().to(DType::bf16).to_host<float>());
  EXPECT_TRUE(params.copies().is_copy_of(params.values()));
}

TEST_F(MixedPrecision, WeightsHaveRoundedCopiesAndOtherParametersNone) {
  const Net net(Precision::mixed_bf16(), cuda);
  EXPECT_EQ(net.conv.master.dtype(), DType::f32);
  EXPECT_EQ(net.conv.compute.dtype(), DType::bf16);
  EXPECT_EQ(net.fc.weight.compute.shape(), (Shape{5, 8}));
  EXPECT_EQ(net.gamma.dtype(), DType::f32);
  EXPECT_EQ(net.fc.bias->dtype(), DType::f32);
  EXPECT_EQ(net.params.gradients().dtype(), DType::f32);
  expect_fresh(net.params);
  const Net exact(DType::f32, cuda);
  EXPECT_FALSE(exact.params.copies());
  EXPECT_TRUE(same_memory(exact.conv.master, exact.conv.compute));
}

TEST_F(MixedPrecision, ActivationsAreBf16AndGradientsF32) {
  const Net net(Precision::mixed_bf16(), cuda);
  const Tensor y = net.forward(random_tensor({4, 3, 3, 8}, DType::f32, 3).to(cuda));
  EXPECT_EQ(y.dtype(), DType::bf16);
  backward(sum(y));
  EXPECT_EQ(net.conv.master.grad().dtype(), DType::f32);
  EXPECT_GT(relative_error(net.params.gradients(), Tensor::zeros(net.params.values().shape(), DType::f32, cuda)), 0);
  EXPECT_EQ(net.fc.bias->grad().to_host<float>(), std::vector<float>(5, 4));
}

TEST_F(MixedPrecision, OptimizersWriteTheCopies) {
  using Make = std::function<std::unique_ptr<Optimizer>(Params&)>;
  const Make makes[] = {[](Params& p) { return make_sgd(p, {.weight_decay = 1e-2}); },
                        [](Params& p) { return make_lars(p, {.weight_decay = 1e-2}); },
                        [](Params& p) { return make_adamw(p, {.weight_decay = 1e-2}); }};
  for (const Make& make : makes) {
    const Precision precisions[] = {Precision::mixed_bf16(), DType::f32};
    std::vector<float> values[2];
    for (int i = 0; i < 2; ++i) {
      Net net(precisions[i], cuda);
      const auto before = net.params.values().to_host<float>();
      const auto optimizer = make(net.params);
      net.params.gradients().fill(0.25);
      StepState state(cuda);
      StepScalars scalars;
      scalars.lr[0] = 0.5;
      state.set(scalars);
      optimizer->step(state);
      values[i] = net.params.values().to_host<float>();
      EXPECT_NE(values[i], before);
      if (net.params.copies()) expect_fresh(net.params);
    }
    EXPECT_EQ(values[0], values[1]) << "the copies changed the masters";
  }
}

TEST_F(MixedPrecision, OptimizersWriteTheTargetsCopies) {
  const Net target(Precision::mixed_bf16(), cuda, 2);
  Net source(Precision::mixed_bf16(), cuda, 1);
  StepState state(cuda);
  StepScalars scalars;
  scalars.lr[0] = 0.5;
  scalars.ema_tau = 0.75;
  state.set(scalars);
  const auto before = target.params.values().to_host<float>();
  source.params.gradients().fill(0.25);
  make_lars(source.params, {}, &target.params)->step(state);
  EXPECT_NE(target.params.values().to_host<float>(), before);
  expect_fresh(target.params);
  expect_fresh(source.params);
  copy_prefix(source.params, target.params);
  EXPECT_EQ(target.params.values().to_host<float>(), source.params.values().to_host<float>());
  expect_fresh(target.params);
}

TEST_F(MixedPrecision, AStateDictIsF32AndRefreshesTheCopies) {
  const Net source(Precision::mixed_bf16(), cuda, 1), cpu(DType::f32, Device::cpu(), 1);
  Net target(Precision::mixed_bf16(), cuda, 2);
  for (const NamedTensor& t : source.params.state_dict()) EXPECT_EQ(t.tensor.dtype(), DType::f32) << t.name;
  target.params.load_state_dict(source.params.state_dict()).require_complete("test");
  expect_fresh(target.params);
  EXPECT_EQ(target.params.values().to_host<float>(), cpu.params.values().to_host<float>());
}

TEST_F(MixedPrecision, AStaleCopyIsRefused) {
  const Net net(Precision::mixed_bf16(), cuda);
  const Tensor images = random_tensor({2, 3, 3, 8}, DType::f32, 3).to(cuda), h = random_tensor({2, 8}, DType::f32, 4);
  net.forward(images);
  net.fc.weight.master.fill(0.5);
  const std::string stale = message_of([&] { net.fc.forward(h.to(cuda)); });
  EXPECT_EQ(stale,
            "linear: the bf16 copy of w ([5,8] f32 cuda:0) is older "
            "than w; call Params::refresh() after writing "
            "parameters");
  EXPECT_NE(message_of([&] { net.forward(images); }).find("conv_bn_act: the bf16 copy"), std::string::npos);
  net.params.refresh();
  net.forward(images);
  net.params.values().mark_written();  // as a kernel that forgets the copies
  EXPECT_NE(message_of([&] { net.forward(images); }), "");
}

TEST_F(MixedPrecision, AnOptimizerDoesNotHideAStaleCopy) {
  Net net(Precision::mixed_bf16(), cuda);
  const auto optimizer = make_sgd(net.params, {});
  const StepState state(cuda);
  optimizer->step(state);
  net.fc.weight.master.fill(0.5);
  EXPECT_NE(message_of([&] { optimizer->step(state); }).find("without Params::refresh()"), std::string::npos);
  net.params.refresh();
  optimizer->step(state);
}

TEST_F(MixedPrecision, BesideBf16AnF32OperandIsRounded) {
  const Tensor x = random_tensor({6, 8}, DType::f32, 1).to(cuda), w = random_tensor({5, 8}, DType::f32, 2).to(cuda);
  const Tensor narrow = linear(x.to(DType::bf16), w);
  EXPECT_EQ(narrow.dtype(), DType::bf16);
  Weight copied(w);
  copied.compute = w.to(DType::bf16);
  copied.compute.mark_copy_of(w);
  EXPECT_EQ(linear(x, copied).to_host<float>(), narrow.to_host<float>());
  EXPECT_EQ(linear(x, w).dtype(), DType::f32);
  EXPECT_EQ(message_of([&] { linear(x.to(DType::bf16), w.to(DType::bf16)); }),
            "linear: w takes its gradient in f32, so its master cannot be "
            "[5,8] bf16 cuda:0");
}

// What products then compute the cases of linear, conv2d and conv_bn_act check.
TEST_F(MixedPrecision, Tf32IsWhatTheWeightsAskFor) {
  const Net net(Precision::tf32_products(), cuda);
  EXPECT_TRUE(net.conv.tf32 && net.fc.weight.tf32);
  EXPECT_FALSE(Net(DType::f32, cuda).conv.tf32);
}

TEST(Precision, TheCpuComputesExactly) {
  for (const Precision& precision : {Precision::mixed_bf16(), Precision::tf32_products()})
    EXPECT_EQ(message_of([&] { Net(precision, Device::cpu()); }),
              text("params: ", precision, " needs a CUDA device; the CPU computes in fp32 and fp64"));
  const Tensor x = random_tensor({3}, DType::bf16, 1);
  EXPECT_EQ(message_of([&] { relu(x); }), "relu: computes in f32 or f64 on the CPU, not in [3] bf16 cpu");
}

TEST(Precision, CastGradients) {
  test::check_op({"cast", {{3, 4}}, [](const auto& x) { return cast(x[0], DType::f64); }});
  test::check_op({"widen", {{3, 4}}, [](const auto& x) { return widen(x[0]); }});
}

TEST(Precision, CastRoundsToNearestEven) {
  const Tensor x = Tensor::from(std::vector<float>{1.00390625F, 1.01171875F, -3.0e38F, 0.1F}, {4}, Device::cpu());
  const Tensor y = cast(x, DType::bf16);
  EXPECT_EQ(y.to_host<float>(), (std::vector<float>{1.0F, 1.015625F, -3.00405527e38F, 0.10009765625F}));
  EXPECT_TRUE(same_memory(cast(x, DType::f32), x));
  EXPECT_THROW(cast(Tensor::zeros({2}, DType::i32, Device::cpu()), DType::f32), InputError);
}

}  // namespace
}  // namespace kagami
