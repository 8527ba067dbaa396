#include "engine/step.h"

#include <gtest/gtest.h>

namespace kagami {
namespace {

TEST(StepState, KernelsReadWhatTheHostWrote) {
  StepState state(Device::cpu());
  const StepScalars* seen = state.data();
  StepScalars scalars;
  scalars.lr[3] = 0.25;
  scalars.step = 7;
  state.set(scalars);
  EXPECT_EQ(seen->lr[3], 0.25);
  EXPECT_EQ(seen->step, 7U);
}

TEST(StepState, ATauThatWasSetMustBeSetInEveryStep) {
  StepState state(Device::cpu());
  StepScalars scalars;
  state.set(scalars);
  scalars.ema_tau = 0.99;
  state.set(scalars);
  EXPECT_THROW(state.set(StepScalars{}), InputError);
  EXPECT_EQ(state.data()->ema_tau, 0.99);
}

TEST(CapturedStep, RunsTheProgramAskedFor) {
  CapturedStep step(Device::cpu());
  int plain = 0, other = 0;
  step.add(0, [&] { ++plain; });
  step.add(2, [&] { ++other; });
  step.run(0);
  step.run(2);
  step.run(0);
  EXPECT_EQ(plain, 2);
  EXPECT_EQ(other, 1);
  EXPECT_THROW(step.run(1), InputError);
  EXPECT_THROW(step.add(0, [] {}), InputError);
}

}  // namespace
}  // namespace kagami
