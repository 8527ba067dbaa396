#include "engine/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "engine/error.h"

namespace kagami {
namespace {

TEST(Schedule, WarmUpThenCosineEveryStep) {
  const Schedule s{.steps = 100, .warmup_steps = 10};
  EXPECT_DOUBLE_EQ(s.at(0), 0);
  EXPECT_DOUBLE_EQ(s.at(5), 0.5);
  EXPECT_DOUBLE_EQ(s.at(10), 1);
  EXPECT_DOUBLE_EQ(s.at(55), 0.5);
  EXPECT_NEAR(s.at(32), (1 + std::cos(std::numbers::pi * 22 / 90)) / 2, 1e-15);
  EXPECT_NEAR(s.at(100), 0, 1e-15);
}

// lightly's cosine_schedule(step, 11 steps, 1, 0), whose denominator is steps - 1: ours over 10 steps.
TEST(Schedule, AgreesWithAPeersTable) {
  const Schedule s{.steps = 9};
  EXPECT_NEAR(s.at(0), 1, 1e-8);
  EXPECT_NEAR(s.at(1), 0.96984631, 1e-8);
  EXPECT_NEAR(s.at(2), 0.88302222, 1e-8);
  EXPECT_NEAR(s.at(9), 0, 1e-8);
}

TEST(Schedule, CosineEveryEpochHoldsItsValueWithinOne) {
  const Schedule s{.kind = Schedule::Kind::cosine_per_epoch, .steps = 40, .steps_per_epoch = 4};
  for (int epoch = 0; epoch < 10; ++epoch)
    for (int step = 0; step < 4; ++step)
      EXPECT_NEAR(s.at(4 * epoch + step), (1 + std::cos(std::numbers::pi * epoch / 10)) / 2, 1e-15);
}

TEST(Schedule, Constant) {
  const Schedule s{.kind = Schedule::Kind::constant, .steps = 10, .warmup_steps = 2};
  EXPECT_DOUBLE_EQ(s.at(1), 0.5);
  EXPECT_DOUBLE_EQ(s.at(2), 1);
  EXPECT_DOUBLE_EQ(s.at(9), 1);
}

TEST(Schedule, Names) {
  EXPECT_EQ(schedule_kind("cosine-epoch"), Schedule::Kind::cosine_per_epoch);
  EXPECT_THROW(schedule_kind("linear"), InputError);
}

TEST(Schedule, ByolTau) {
  EXPECT_NEAR(byol_tau(0.996, 0, 1000), 0.996, 1e-12);
  EXPECT_NEAR(byol_tau(0.996, 1, 1000), 0.99600001, 1e-8);
  EXPECT_NEAR(byol_tau(0.996, 500, 1000), 0.998, 1e-12);
  EXPECT_NEAR(byol_tau(0.996, 999, 1000), 0.99999999, 1e-8);
}

}  // namespace
}  // namespace kagami
