#include "engine/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "engine/safetensors.h"
#include "kernels/cpu/parallel.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;

// The problem of the reference values: p starts at A, the loss is half the
// squared distance to B.
std::vector<double> wave(double scale) {
  std::vector<double> values;
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 5; ++j)
      values.push_back(std::sin(1.0 + 3 * i + 7 * j + 2 * i * j) + scale * std::cos(2.0 + 5 * i + 3 * j + i * j));
  return values;
}

struct Problem {
  Problem() : weight(params.weight("w", {6, 5}, Init::zeros())) {
    params.allocate(Device::cpu(), DType::f64, 1);
    weight.master.copy_from(Tensor::from(wave(0), {6, 5}, Device::cpu()));
  }
  void descend(Optimizer& optimizer, int steps, double lr) {
    const std::vector<double> target = wave(0.3);
    StepState state(Device::cpu());
    for (int k = 0; k < steps; ++k) {
      StepScalars scalars;
      scalars.lr[0] = lr;
      scalars.step = static_cast<std::uint32_t>(k);
      state.set(scalars);
      double* g = weight.master.grad().data<double>();
      for (std::size_t i = 0; i < target.size(); ++i) g[i] = weight.master.data<double>()[i] - target[i];
      optimizer.step(state);
    }
  }
  double norm() const {
    double sum = 0;
    for (const double x : weight.master.to_host<double>()) sum += x * x;
    return std::sqrt(sum);
  }
  double at(int i) const { return weight.master.data<double>()[i]; }
  Params params;
  Weight& weight;
};

TEST(Optimizer, SgdThreeSteps) {
  Problem decayed;
  decayed.descend(*make_sgd(decayed.params, {.weight_decay = 0.01}), 3, 0.1);
  EXPECT_NEAR(decayed.norm(), 3.869257820, 1e-9);
  EXPECT_NEAR(decayed.at(0), 0.773037267, 1e-9);
  Problem nesterov;
  nesterov.descend(*make_sgd(nesterov.params, {.nesterov = true}), 3, 0.1);
  EXPECT_NEAR(nesterov.norm(), 3.921069069, 1e-9);
  EXPECT_NEAR(nesterov.at(0), 0.757491013, 1e-9);
}

TEST(Optimizer, LarsThreeSteps) {
  Problem plain;
  plain.descend(*make_lars(plain.params, {.weight_decay = 1e-4, .trust = 1e-3, .joint_norm = false}), 3, 0.5);
  EXPECT_NEAR(plain.norm(), 3.836498441, 1e-9);
  EXPECT_NEAR(plain.at(0), 0.840235743, 1e-9);
  EXPECT_NEAR(plain.at(29), 0.730902352, 1e-9);
  Problem clipped;
  clipped.descend(*make_lars(clipped.params, {.weight_decay = 1e-4, .trust = 0.02, .joint_norm = false, .clip = true}),
                  3, 0.5);
  EXPECT_NEAR(clipped.norm(), 3.869504813, 1e-9);
  EXPECT_NEAR(clipped.at(0), 0.792027150, 1e-9);
  EXPECT_NEAR(clipped.at(29), 0.641608320, 1e-9);
}

double distance(const Problem& a, const Problem& b) {
  double largest = 0;
  for (int i = 0; i < 30; ++i) largest = std::max(largest, std::abs(a.at(i) - b.at(i)));
  return largest;
}

TEST(Optimizer, LarsNormsDifferByWhatTheReferenceSays) {
  for (const auto& [decay, expected] : {std::pair{1e-4, 4.45872691e-7}, std::pair{0.01, 4.51709281e-5}}) {
    Problem joint, sum;
    joint.descend(*make_lars(joint.params, {.weight_decay = decay}), 3, 0.5);
    sum.descend(*make_lars(sum.params, {.weight_decay = decay, .joint_norm = false}), 3, 0.5);
    EXPECT_NEAR((sum.at(0) - joint.at(0)) / expected, 1, 1e-3);
  }
}

TEST(Optimizer, LarsMomentumPlacementMattersOnlyWhenTheRateChanges) {
  Problem inside, outside;
  const auto a = make_lars(inside.params, {.trust = 0.1, .lr_in_momentum = true});
  const auto b = make_lars(outside.params, {.trust = 0.1});
  inside.descend(*a, 2, 0.5);
  outside.descend(*b, 2, 0.5);
  EXPECT_LT(distance(inside, outside), 1e-12);
  inside.descend(*a, 1, 0.1);
  outside.descend(*b, 1, 0.1);
  EXPECT_GT(distance(inside, outside), 1e-3);
}

TEST(Optimizer, LarsWithAZeroNorm) {
  for (const bool joint : {false, true}) {
    Problem p;  // parameters zero: ratio 1
    p.weight.master.fill(0);
    p.descend(*make_lars(p.params, {.weight_decay = 0.1, .joint_norm = joint}), 1, 0.5);
    EXPECT_DOUBLE_EQ(p.at(7), 0.5 * wave(0.3)[7]);
  }
  for (const bool joint : {false, true}) {  // gradient zero: decay is kept by the joint norm alone
    Params params;
    const Weight& w = params.weight("w", {2, 2}, Init::constant(2));
    params.allocate(Device::cpu(), DType::f64, 1);
    StepState state(Device::cpu());
    StepScalars scalars;
    scalars.lr[0] = 1;
    state.set(scalars);
    make_lars(params, {.weight_decay = 0.1, .trust = 0.5, .joint_norm = joint})->step(state);
    EXPECT_DOUBLE_EQ(w.master.data<double>()[0], joint ? 2 - 0.5 * 2 : 2);
  }
}

TEST(Optimizer, LarsLeavesVectorsToPlainMomentum) {
  Params params;
  const Tensor& bias = params.parameter("b", {3}, Init::constant(2));
  params.allocate(Device::cpu(), DType::f64, 1);
  params.gradients().fill(1);
  StepState state(Device::cpu());
  StepScalars scalars;
  scalars.lr[0] = 0.5;
  state.set(scalars);
  make_lars(params, {.weight_decay = 0.1})->step(state);
  EXPECT_DOUBLE_EQ(bias.data<double>()[0], 1.5);
}

// PyTorch's own parameters after each of three steps.
TEST(Optimizer, AgreesWithPyTorch) {
  const SafetensorsFile file(KAGAMI_SOURCE_DIR "/tests/reference/ops.safetensors");
  const auto start = file.values<double>("optimizer.p0"), slopes = file.values<double>("optimizer.g");
  const auto run = [&](const std::string& name, double lr,
                       const std::function<std::unique_ptr<Optimizer>(Params&)>& make, double momentum) {
    Params params;
    Weight& w = params.weight("w", {12}, Init::zeros());
    params.allocate(Device::cpu(), DType::f64, 1);
    w.master.copy_from(Tensor::from(start, {12}, Device::cpu()));
    const auto optimizer = make(params);
    const auto expected = file.values<double>(name + ".p");
    StepState state(Device::cpu());
    for (std::size_t k = 0; k < 3; ++k) {
      StepScalars scalars;
      scalars.lr[0] = lr;
      scalars.momentum = momentum;
      scalars.step = static_cast<std::uint32_t>(k);
      state.set(scalars);
      w.master.grad().copy_from(Tensor::from(slopes.subspan(12 * k, 12), {12}, Device::cpu()));
      optimizer->step(state);
      for (std::size_t i = 0; i < 12; ++i)
        EXPECT_NEAR(w.master.data<double>()[i], expected[12 * k + i], 1e-13) << name << " step " << k;
    }
  };
  run(
      "sgd", 0.1, [](Params& p) { return make_sgd(p, {}); }, 0);
  run(
      "sgd_momentum", 0.1, [](Params& p) { return make_sgd(p, {}); }, 0.9);
  run(
      "sgd_momentum_decay", 0.1, [](Params& p) { return make_sgd(p, {.weight_decay = 0.01}); }, 0.9);
  run(
      "sgd_nesterov_decay", 0.1, [](Params& p) { return make_sgd(p, {.weight_decay = 0.01, .nesterov = true}); }, 0.9);
  run(
      "adamw", 0.01, [](Params& p) { return make_adamw(p, {.weight_decay = 0.01}); }, 0.9);
}

TEST(Optimizer, GroupsDifferInRateDecayAndTraining) {
  Params params;
  const int slow = params.add_group({.name = "slow", .lr_factor = 0.5, .weight_decay = false});
  const int frozen = params.add_group({.name = "frozen", .trained = false});
  const int steady = params.add_group({.name = "steady", .schedule = LrSchedule::constant});
  const Weight& a = params.weight("a", {3}, Init::ones());
  const Weight& f = params.weight("f", {3}, Init::ones(), frozen);
  const Weight& a2 = params.weight("a2", {3}, Init::ones());
  const Weight& b = params.weight("b", {3}, Init::ones(), slow);
  const Weight& c = params.weight("c", {3}, Init::ones(), steady);
  params.allocate(Device::cpu(), DType::f64, 1);
  params.gradients().fill(1);
  StepState state(Device::cpu());
  StepScalars scalars;
  set_learning_rates(scalars, params, 0.2, 0.5);
  state.set(scalars);
  make_sgd(params, {.weight_decay = 1})->step(state);
  EXPECT_DOUBLE_EQ(a.master.data<double>()[0], 1 - 0.1 * 2);
  EXPECT_DOUBLE_EQ(a2.master.data<double>()[0], 1 - 0.1 * 2);
  EXPECT_DOUBLE_EQ(f.master.data<double>()[0], 1);
  EXPECT_DOUBLE_EQ(b.master.data<double>()[0], 1 - 0.05);
  EXPECT_DOUBLE_EQ(c.master.data<double>()[0], 1 - 0.2 * 2);
}

TEST(Optimizer, DecayOfVectorsIsASwitch) {
  for (const bool on : {false, true}) {
    Params params;
    const Tensor& bias = params.parameter("b", {3}, Init::ones());
    const Weight& w = params.weight("w", {3, 1}, Init::ones());
    params.allocate(Device::cpu(), DType::f64, 1);
    StepState state(Device::cpu());
    StepScalars scalars;
    scalars.lr[0] = 1;
    state.set(scalars);
    make_sgd(params, {.weight_decay = 0.25}, on)->step(state);
    EXPECT_DOUBLE_EQ(bias.data<double>()[0], on ? 0.75 : 1);
    EXPECT_DOUBLE_EQ(w.master.data<double>()[0], 0.75);
  }
}

TEST(Optimizer, TheSameBitsWithAnyNumberOfThreads) {
  const auto run = [](int threads) {
    cpu::set_threads(threads);
    Params params;
    const Weight& w = params.weight("w", {300, 301}, Init::normal(1));
    params.allocate(Device::cpu(), DType::f32, 1);
    w.master.grad().copy_from(random_tensor({300, 301}, DType::f32, 5));
    StepState state(Device::cpu());
    StepScalars scalars;
    scalars.lr[0] = 0.1;
    state.set(scalars);
    make_lars(params, {.weight_decay = 1e-3})->step(state);
    cpu::set_threads(0);
    return w.master.to_host<float>();
  };
  EXPECT_EQ(run(1), run(3));
}

/// An encoder with a frozen bias, and what a target lacks.
struct Network {
  explicit Network(bool with_predictor) {
    const int frozen = params.add_group({.name = "frozen", .trained = false});
    params.weight("encoder", {30, 40}, Init::normal(1));
    params.parameter("bias", {37}, Init::normal(1), frozen);
    params.weight("projector", {17, 30}, Init::normal(1));
    if (with_predictor) params.weight("predictor", {9, 17}, Init::normal(1));
  }
  Params params;
};

using Make = std::function<std::unique_ptr<Optimizer>(Params&, const Params* target)>;
const Make makes[] = {[](Params& p, const Params* t) { return make_sgd(p, {.weight_decay = 0.01}, true, t); },
                      [](Params& p, const Params* t) { return make_lars(p, {.weight_decay = 0.01}, t); },
                      [](Params& p, const Params* t) { return make_adamw(p, {.weight_decay = 0.01}, true, t); }};

StepScalars scalars_of(std::uint32_t step) {
  StepScalars scalars;
  scalars.lr[0] = 0.1 / (1 + step);
  scalars.ema_tau = 1 - 0.3 / (1 + step);
  scalars.step = step;
  return scalars;
}

/// A gradient for every parameter, and what a step makes of the target's: tau target + (1 - tau) p of the new p.
struct Following {
  Following(const Device& device, const Make& make) {
    online.params.allocate(device, DType::f32, 1);
    target.params.allocate(device, DType::f32, 2);
    optimizer = make(online.params, &target.params);
  }
  void step(const StepState& state) {
    for (const Segment& s : online.params.segments())
      if (online.params.find(s.name).wants_grad())
        online.params.find(s.name).grad().copy_from(
            random_tensor(s.shape, DType::f32, state.host().step).to(online.params.values().device()));
    optimizer->step(state);
  }
  Network online{true}, target{false};
  std::unique_ptr<Optimizer> optimizer;
};

TEST(Optimizer, ATargetFollowsToTheBit) {
  for (const Device& device : test::every_device())
    for (const Make& make : makes) {
      SCOPED_TRACE(device);
      Following run(device, make);
      StepState state(device);
      for (std::uint32_t step = 0; step < 3; ++step) {
        state.set(scalars_of(step));
        const float kept = static_cast<float>(scalars_of(step).ema_tau),
                    taken = static_cast<float>(1 - scalars_of(step).ema_tau);
        std::map<std::string, std::vector<float>> before;
        for (const Segment& s : run.target.params.segments())
          before[s.name] = run.target.params.find(s.name).to_host<float>();
        run.step(state);
        for (const auto& [name, t] : before) {
          const std::vector<float> p = run.online.params.find(name).to_host<float>(),
                                   found = run.target.params.find(name).to_host<float>();
          EXPECT_NE(found, t) << name;
          const float room =
              device.is_cpu() || device.emulated() ? 0 : 1e-6F;  // a GPU may round a product and a sum at once
          for (std::size_t i = 0; i < p.size(); ++i)
            ASSERT_TRUE(std::abs(found[i] - (kept * t[i] + taken * p[i])) <= room) << name << i;
        }
      }
    }
}

TEST(Optimizer, ATargetDoesNotChangeTheParameters) {
  for (const Make& make : makes) {
    Following with(Device::cpu(), make), without(Device::cpu(), make);
    without.optimizer = make(without.online.params, nullptr);
    StepState state(Device::cpu());
    state.set(scalars_of(0));
    for (Following* run : {&with, &without}) run->step(state);
    EXPECT_EQ(with.online.params.values().to_host<float>(), without.online.params.values().to_host<float>());
  }
}

TEST(Optimizer, ATargetThatDoesNotFitIsRefused) {
  const auto message_of = [](auto&& f) {
    try {
      f();
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  Network online(true), target(false), other_type(false);
  online.params.allocate(Device::cpu(), DType::f32, 1);
  EXPECT_THROW(make_sgd(online.params, {}, true, &target.params),
               InputError);  // not allocated
  target.params.allocate(Device::cpu(), DType::f32, 1);
  other_type.params.allocate(Device::cpu(), DType::f64, 1);
  EXPECT_THROW(make_sgd(target.params, {}, true, &online.params),
               InputError);  // longer
  EXPECT_THROW(make_sgd(online.params, {}, true, &online.params), InputError);
  EXPECT_EQ(message_of([&] { make_sgd(online.params, {}, true, &other_type.params); }),
            "optimizer: an EMA target has parameters of its own, of the type "
            "and on the device of those it follows "
            "([1920] f32 cpu); its own: [1760] f64 cpu");
  const auto optimizer = make_sgd(online.params, {}, true, &target.params);
  StepState state(Device::cpu());
  state.set(StepScalars{});
  EXPECT_EQ(message_of([&] { optimizer->step(state); }),
            "optimizer: an EMA target needs StepScalars::ema_tau in [0, 1], not nan");
}

}  // namespace
}  // namespace kagami
