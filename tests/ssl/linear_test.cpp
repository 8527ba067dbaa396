#include "ssl/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"
#include "ssl/lbfgs.h"
#include "ssl/probe.h"

namespace kagami {
namespace {

TEST(Lbfgs, FindsTheMinimumOfABentValley) {  // Rosenbrock's function
  std::vector<double> x{-1.2, 1};
  const LbfgsResult end = minimize(
      [](const std::vector<double>& at, std::vector<double>& gradient) {
        const double a = 1 - at[0], b = at[1] - at[0] * at[0];
        gradient = {-2 * a - 400 * at[0] * b, 200 * b};
        return a * a + 100 * b * b;
      },
      x, {.max_iterations = 200, .tolerance = 1e-9});
  EXPECT_NEAR(x[0], 1, 1e-8);
  EXPECT_NEAR(x[1], 1, 1e-8);
  EXPECT_LT(end.iterations, 80);
}

TEST(Lbfgs, SolvesALinearSystem) {
  std::vector<double> x(50);
  minimize(
      [](const std::vector<double>& at, std::vector<double>& gradient) {
        double value = 0;
        for (std::size_t i = 0; i < at.size(); ++i) {
          const double stiffness = 1 + 20 * static_cast<double>(i);
          gradient[i] = stiffness * at[i] - 3;
          value += 0.5 * stiffness * at[i] * at[i] - 3 * at[i];
        }
        return value;
      },
      x, {.tolerance = 1e-10});
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], 3 / (1 + 20 * static_cast<double>(i)), 1e-9);
}

/// Gaussian clouds around the corners of a simplex, in 8 features of very different scale and offset.
LabelledFeatures clouds(std::int64_t count, int classes, double noise, std::uint64_t seed) {
  Philox random(seed, Purpose::test, 0, 0, 0);
  LabelledFeatures set{Tensor::empty({count, 8}, DType::f32, Device::cpu()), {}};
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(classes)));
    set.labels.push_back(label);
    for (int j = 0; j < 8; ++j) {
      const double x = (j == label ? 1 : 0) + noise * random.normal<double>();
      set.features.data<float>()[8 * i + j] = static_cast<float>(100 * j + std::pow(10.0, j - 4) * x);
    }
  }
  return set;
}

TEST(Linear, LogisticRegressionConvergesAndClassifies) {
  const LabelledFeatures train = clouds(2000, 4, 0.3, 1), test = clouds(2000, 4, 0.3, 2);
  const LinearResult r = logistic_regression(train, test, 4, {.l2 = 1e-3});
  EXPECT_LE(r.gradient_norm, 1e-5);
  EXPECT_LT(r.iterations, 200);
  EXPECT_GT(r.test_accuracy, 0.95);
  EXPECT_GT(r.train_accuracy, 0.95);
  EXPECT_TRUE(std::isnan(r.held_out_accuracy));
}

TEST(Linear, ThePenaltyIsChosenOnAHeldOutTenth) {
  const LabelledFeatures train = clouds(600, 4, 0.4, 1), test = clouds(2000, 4, 0.4, 2);
  const LinearResult r = logistic_regression(train, test, 4);
  EXPECT_GT(r.held_out_accuracy, 0.8);
  EXPECT_GT(r.test_accuracy, 0.85);
  EXPECT_GT(r.l2, 0);
}

TEST(Linear, APenaltyWithoutLimitGivesTheLargestClass) {
  LabelledFeatures train = clouds(300, 2, 0.5, 1);
  std::int64_t ones = 0;
  for (std::size_t i = 0; i < train.labels.size(); ++i) {
    train.labels[i] = i % 4 != 0;
    ones += train.labels[i];
  }
  const LinearResult r = logistic_regression(train, train, 2, {.l2 = 1e6});
  EXPECT_DOUBLE_EQ(r.test_accuracy, static_cast<double>(ones) / 300);
}

TEST(Linear, SgdProtocolAndRidgeReachTheSameKindOfAccuracy) {
  LabelledFeatures train = clouds(2000, 4, 0.3, 1), test = clouds(1000, 4, 0.3, 2);
  const Standardizer standardize(train.features);
  train.features = standardize(train.features);
  test.features = standardize(test.features);
  const LinearResult sgd = linear_sgd(train, test, 4, {.lr_candidates = {0.1, 1}, .epochs = 10});
  EXPECT_GT(sgd.test_accuracy, 0.95);
  EXPECT_TRUE(sgd.lr == 0.1 || sgd.lr == 1);
  EXPECT_GT(ridge_probe(train, test, 4).test_accuracy, 0.93);
}

TEST(Linear, RidgeSolvesTheNormalEquations) {
  // One feature, standardised: the weight of class 1 is cov(x, y) n / (n + l2), so the boundary lies at the middle.
  std::vector<float> x;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 100; ++i) {
    x.push_back(static_cast<float>(i));
    labels.push_back(i >= 50);
  }
  const LabelledFeatures set{Tensor::from(x, {100, 1}, Device::cpu()), labels};
  EXPECT_EQ(ridge_probe(set, set, 2).test_accuracy, 1);
}

TEST(Linear, TheSameBitsWithAnyNumberOfThreads) {
  const LabelledFeatures train = clouds(700, 3, 0.5, 1), test = clouds(300, 3, 0.5, 2);
  const auto run = [&](int threads) {
    cpu::set_threads(threads);
    const LinearResult r = logistic_regression(train, test, 3, {.l2 = 1e-4});
    cpu::set_threads(0);
    return std::make_pair(r.gradient_norm, r.iterations);
  };
  EXPECT_EQ(run(1), run(3));
}

TEST(Linear, MisuseIsNamed) {
  const LabelledFeatures good = clouds(20, 3, 0.5, 1);
  LabelledFeatures bad = good;
  bad.labels.pop_back();
  EXPECT_THROW(logistic_regression(bad, good, 3), InputError);
  EXPECT_THROW(logistic_regression(good, good, 2), InputError);
  EXPECT_THROW(ridge_probe(good, good, 3, 0), InputError);
  EXPECT_THROW(linear_sgd(good, good, 3, {.lr_candidates = {}}), InputError);
}

}  // namespace
}  // namespace kagami
