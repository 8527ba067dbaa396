#include "engine/params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "engine/autograd.h"
#include "engine/module.h"
#include "engine/ops.h"

namespace kagami {
namespace {

struct Net {
  explicit Net(Params& params, bool extra = false) : Net(Scope(params), extra) {}
  Net(const Scope& scope, bool extra)
      : conv(scope.child("conv1").weight("weight", {4, 3, 3, 2}, Init::kaiming_normal_fan_out({4, 3, 3, 2}))),
        gamma(scope.child("bn1").parameter("weight", {4}, Init::ones())),
        mean(scope.child("bn1").buffer("running_mean", {4}, Init::zeros())),
        fc(scope.child("fc").weight("weight", {5, 7}, Init::linear_default(7))) {
    if (extra) scope.child("predictor").weight("weight", {3, 5}, Init::linear_default(5));
  }
  Weight& conv;
  Tensor& gamma;
  Tensor& mean;
  Weight& fc;
};

TEST(Params, HandlesAreViewsOfTheFlatBuffers) {
  Params params;
  const Net net(params);
  params.allocate(Device::cpu(), DType::f64, 1);
  EXPECT_EQ(params.parameter_count(), 4 * 3 * 3 * 2 + 4 + 35);
  for (const Segment& s : params.segments()) {
    EXPECT_EQ(s.offset % 16, 0);
    EXPECT_TRUE(same_memory(params.find(s.name), params.values().rows(s.offset, s.size())));
    EXPECT_TRUE(same_memory(params.find(s.name).grad(), params.gradients().rows(s.offset, s.size())));
  }
  EXPECT_TRUE(same_memory(net.fc.master, net.fc.compute));
  EXPECT_EQ(net.gamma.to_host<double>(), std::vector<double>(4, 1.0));
  EXPECT_EQ(net.mean.to_host<double>(), std::vector<double>(4, 0.0));
  EXPECT_FALSE(net.mean.wants_grad());
}

TEST(Params, BackwardAddsIntoTheFlatGradient) {
  Params params;
  const Net net(params);
  params.allocate(Device::cpu(), DType::f64, 1);
  for (int pass = 1; pass <= 2; ++pass) {
    backward(mul(net.gamma, net.gamma), Tensor::full({4}, 1, DType::f64, Device::cpu()));
    const Segment& s = params.segments()[1];
    EXPECT_EQ(params.gradients().rows(s.offset, s.size()).to_host<double>(), std::vector<double>(4, 2.0 * pass));
  }
  params.zero_grad();
  EXPECT_EQ(net.gamma.grad().to_host<double>(), std::vector<double>(4, 0.0));
}

TEST(Params, InitialValuesDependOnTheNameAlone) {
  Params one, two;
  const Net small(one), large(two, true);
  one.allocate(Device::cpu(), DType::f32, 7);
  two.allocate(Device::cpu(), DType::f32, 7);
  EXPECT_EQ(small.fc.master.to_host<float>(), large.fc.master.to_host<float>());
  Params other_seed;
  const Net third(other_seed);
  other_seed.allocate(Device::cpu(), DType::f32, 8);
  EXPECT_NE(small.fc.master.to_host<float>(), third.fc.master.to_host<float>());
  const auto conv = small.conv.master.to_host<float>(), fc = small.fc.master.to_host<float>();
  EXPECT_NE(conv[0], fc[0]);
}

TEST(Params, InitialDistributions) {
  const auto moments = [](const Init& init) {
    const Tensor t = Tensor::empty({100001}, DType::f64, Device::cpu());
    initialize(t, init, 3, "a.weight");
    const auto v = t.to_host<double>();
    double mean = 0, square = 0, largest = 0;
    for (const double x : v) {
      mean += x / static_cast<double>(v.size());
      square += x * x / static_cast<double>(v.size());
      largest = std::max(largest, std::abs(x));
    }
    return std::array<double, 3>{mean, std::sqrt(square), largest};
  };
  const auto normal = moments(Init::kaiming_normal_fan_out({8, 3, 3, 5}));
  EXPECT_NEAR(normal[0], 0, 0.003);
  EXPECT_NEAR(normal[1], std::sqrt(2.0 / 72), 0.002);
  EXPECT_GT(normal[2], 3.5 * normal[1]);
  const auto uniform = moments(Init::linear_default(16));
  EXPECT_NEAR(uniform[0], 0, 0.003);
  EXPECT_NEAR(uniform[1], 0.25 / std::sqrt(3.0), 0.002);
  EXPECT_LE(uniform[2], 0.25);
}

TEST(Params, SingleAndDoubleStartAlike) {
  Params f, d;
  const Net nf(f), nd(d);
  f.allocate(Device::cpu(), DType::f32, 5);
  d.allocate(Device::cpu(), DType::f64, 5);
  const auto a = nf.conv.master.to_host<double>(), b = nd.conv.master.to_host<double>();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-7);
}

TEST(Params, StateDictHasTorchvisionsLayoutAndComesBack) {
  Params params, again;
  const Net net(params), copy(again);
  params.allocate(Device::cpu(), DType::f32, 1);
  again.allocate(Device::cpu(), DType::f32, 2);
  std::vector<NamedTensor> state = params.state_dict();
  ASSERT_EQ(state.size(), 4U);
  EXPECT_EQ(state[0].name, "conv1.weight");
  EXPECT_EQ(state[0].tensor.shape(), Shape({4, 2, 3, 3}));
  const auto memory = net.conv.master.to_host<float>(), disk = state[0].tensor.to_host<float>();
  for (int k = 0; k < 4; ++k)
    for (int r = 0; r < 3; ++r)
      for (int s = 0; s < 3; ++s)
        for (int c = 0; c < 2; ++c)
          EXPECT_EQ(memory[static_cast<std::size_t>(((k * 3 + r) * 3 + s) * 2 + c)],
                    disk[static_cast<std::size_t>(((k * 2 + c) * 3 + r) * 3 + s)]);
  for (NamedTensor& entry : state) entry.name = "module.backbone." + entry.name;
  state.push_back({"module.backbone.bn1.num_batches_tracked", Tensor::full({}, 3, DType::i32, Device::cpu())});
  again.load_state_dict(state, {.strip_prefixes = {"backbone.", "module."}}).require_complete("a file");
  EXPECT_EQ(copy.conv.master.to_host<float>(), memory);
  EXPECT_EQ(copy.fc.master.to_host<float>(), net.fc.master.to_host<float>());
}

TEST(Params, LoadingNamesWhatIsMissingOrUnexpectedOrOfAnotherShape) {
  Params params, larger;
  const Net net(params), with_more(larger, true);
  params.allocate(Device::cpu(), DType::f32, 1);
  larger.allocate(Device::cpu(), DType::f32, 1);
  const LoadReport missing = larger.load_state_dict(params.state_dict());
  EXPECT_EQ(missing.missing, std::vector<std::string>{"predictor.weight"});
  EXPECT_EQ(params.load_state_dict(larger.state_dict()).unexpected, std::vector<std::string>{"predictor.weight"});
  try {
    missing.require_complete("weights.safetensors");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("weights.safetensors"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("predictor.weight"), std::string::npos);
  }
  std::vector<NamedTensor> wrong = params.state_dict();
  wrong[3].tensor = Tensor::zeros({5, 7, 1}, DType::f32, Device::cpu());
  EXPECT_THROW(params.load_state_dict(wrong), InputError);
}

TEST(Params, AnUntrainedGroupHasNoGradient) {
  Params params;
  const int frozen = params.add_group({.name = "frozen", .trained = false});
  const Weight& w = params.weight("a", {3}, Init::ones());
  const Weight& f = params.weight("b", {3}, Init::ones(), frozen);
  params.allocate(Device::cpu(), DType::f32, 1);
  EXPECT_TRUE(w.master.wants_grad());
  EXPECT_FALSE(f.master.wants_grad());
}

TEST(Params, APrefixIsCopiedWithItsBuffers) {
  Params target, online;
  const Net t(target), o(online, true);
  target.allocate(Device::cpu(), DType::f32, 1);
  online.allocate(Device::cpu(), DType::f32, 2);
  o.mean.fill(3);
  copy_prefix(online, target);
  EXPECT_EQ(t.fc.master.to_host<float>(), o.fc.master.to_host<float>());
  EXPECT_EQ(t.mean.to_host<float>(), std::vector<float>(4, 3.F));
  EXPECT_THROW(shared_prefix(online, target), InputError);
}

TEST(Params, MisuseIsNamed) {
  Params params;
  params.weight("a", {3}, Init::ones());
  EXPECT_THROW(params.weight("a", {3}, Init::ones()), InputError);
  EXPECT_THROW(params.weight("b", {3}, Init::ones(), 4), InputError);
  EXPECT_THROW(params.allocate(Device::cpu(), DType::i32, 1), InputError);
  params.allocate(Device::cpu(), DType::f32, 1);
  EXPECT_THROW(params.weight("c", {3}, Init::ones()), InputError);
  EXPECT_THROW(params.find("d"), InputError);
}

}  // namespace
}  // namespace kagami
