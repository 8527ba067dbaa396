#include "ssl/linear.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "ssl/lbfgs.h"
#include "ssl/probe.h"

namespace kagami {
namespace {

/// Weights [classes, d], then biases [classes], as one vector of variables.
struct LinearModel {
  int classes;
  std::int64_t d;
  std::vector<double> variables;
  LinearModel(int c, std::int64_t features)
      : classes(c), d(features), variables(static_cast<std::size_t>(c * (features + 1))) {}

  Tensor scores(const Tensor& x) const { return scores(x, variables); }
  Tensor scores(const Tensor& x, const std::vector<double>& at) const {
    const std::vector<float> values(at.begin(), at.end());
    const std::span<const float> all(values);
    const auto split = static_cast<std::size_t>(classes * d);
    return linear(x, Tensor::from(all.first(split), {classes, d}, x.device()),
                  Tensor::from(all.subspan(split), {classes}, x.device()));
  }
};

/// Fits `model` from where it is.
LbfgsResult fit(LinearModel& model, const LabelledFeatures& train, double l2, const LogisticOptions& options) {
  const auto weights = static_cast<std::size_t>(model.classes * model.d);
  const Objective objective = [&](const std::vector<double>& at, std::vector<double>& gradient) {
    const Tensor slope = model.scores(train.features, at);
    double value = cross_entropy_slope(slope, train.labels);
    const std::vector<double> dw = matmul(slope, train.features, true, false).to_host<double>();
    const std::vector<double> db = sum(slope, 0).to_host<double>();
    std::copy(dw.begin(), dw.end(), gradient.begin());
    std::copy(db.begin(), db.end(), gradient.begin() + static_cast<std::ptrdiff_t>(weights));
    for (std::size_t i = 0; i < weights; ++i) {
      value += 0.5 * l2 * at[i] * at[i];
      gradient[i] += l2 * at[i];
    }
    return value;
  };
  return minimize(objective, model.variables,
                  {.max_iterations = options.max_iterations, .tolerance = options.tolerance});
}

struct Choice {
  double l2 = 0, accuracy = std::numeric_limits<double>::quiet_NaN();
};

/// The candidate with the best accuracy on a held-out tenth; of equal ones the strongest penalty.
Choice choose_l2(const LabelledFeatures& train, int classes, const LogisticOptions& options) {
  check(!options.l2_candidates.empty(), "logistic regression: no penalty to choose from");
  const HeldOut parts = hold_out_a_tenth(train, options.seed);
  std::vector<double> candidates = options.l2_candidates;
  std::sort(candidates.rbegin(), candidates.rend());
  LinearModel model(classes, train.features.shape(1));
  LogisticOptions rough = options;  // the ranking needs no more
  rough.tolerance *= 10;
  Choice best{.accuracy = -1};
  for (const double l2 : candidates) {  // each starts where the stronger penalty ended
    fit(model, parts.fit, l2, rough);
    const double share = accuracy(model.scores(parts.held_out.features), parts.held_out.labels);
    if (share > best.accuracy) best = {l2, share};
  }
  return best;
}

}  // namespace

LinearResult logistic_regression(const LabelledFeatures& train, const LabelledFeatures& test, int classes,
                                 const LogisticOptions& options) {
  check_labelled("logistic regression", train, classes);
  check_labelled("logistic regression", test, classes);
  const NoGrad no_grad;
  const Standardizer standardize(train.features);
  const LabelledFeatures fitted{standardize(train.features), train.labels};
  const Choice choice = options.l2 >= 0 ? Choice{.l2 = options.l2} : choose_l2(fitted, classes, options);
  LinearModel model(classes, train.features.shape(1));
  const LbfgsResult end = fit(model, fitted, choice.l2, options);
  return {.train_accuracy = accuracy(model.scores(fitted.features), train.labels),
          .test_accuracy = accuracy(model.scores(standardize(test.features)), test.labels),
          .l2 = choice.l2,
          .iterations = end.iterations,
          .gradient_norm = end.gradient_norm,
          .held_out_accuracy = choice.accuracy};
}

}  // namespace kagami
