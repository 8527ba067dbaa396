#pragma once
// Linear evaluation on features computed once.
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace kagami {

/// Features [n, d] f32 and their classes.
struct LabelledFeatures {
  Tensor features;
  std::vector<std::int32_t> labels;
};

struct LinearResult {
  double train_accuracy = 0, test_accuracy = 0;  ///< in [0, 1]
  double l2 = 0;                                 ///< penalty used (logistic, ridge)
  double lr = 0;                                 ///< rate used (SGD)
  int iterations = 0;                            ///< L-BFGS iterations, or epochs
  double gradient_norm = 0;                      ///< logistic: where it stopped
  /// On the part of the training set that chose l2 or lr; NaN where they were given.
  double held_out_accuracy = std::numeric_limits<double>::quiet_NaN();
};

/// Multinomial logistic regression to convergence.
struct LogisticOptions {
  /// Penalty l2/2 ||W||^2 beside the mean cross-entropy, features standardised. Negative: chosen among
  /// `l2_candidates` on a tenth of the training set that is held out, then refitted on all of it.
  double l2 = -1;
  std::vector<double> l2_candidates = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1};
  int max_iterations = 500;
  double tolerance = 1e-5;  ///< stops when the gradient's largest entry is below
  std::uint64_t seed = 1;   ///< of the held-out part
};
LinearResult logistic_regression(const LabelledFeatures& train, const LabelledFeatures& test, int classes,
                                 const LogisticOptions& options = {});

/// The papers' protocol: SGD with momentum on the features as they are, cosine schedule, no weight decay.
struct LinearSgdOptions {
  std::vector<double> lr_candidates = {0.1, 1, 10, 30};  ///< one: taken; several: chosen on a held-out tenth
  int epochs = 90, batch = 256;
  double momentum = 0.9, weight_decay = 0;
  bool nesterov = true;
  std::uint64_t seed = 1;
};
LinearResult linear_sgd(const LabelledFeatures& train, const LabelledFeatures& test, int classes,
                        const LinearSgdOptions& options = {});

/// Least squares on one-hot classes, in closed form; features standardised, bias not penalised.
LinearResult ridge_probe(const LabelledFeatures& train, const LabelledFeatures& test, int classes, double l2 = 10);

}  // namespace kagami
