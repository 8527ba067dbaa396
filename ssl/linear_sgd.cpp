#include <algorithm>
#include <limits>
#include <vector>

#include "engine/autograd.h"
#include "engine/module.h"
#include "engine/optimizer.h"
#include "engine/schedule.h"
#include "kernels/philox.h"
#include "ssl/linear.h"
#include "ssl/probe.h"

namespace kagami {
namespace {

struct Classifier {
  Classifier(std::int64_t features, int classes, std::uint64_t seed, Device device)
      : layer(Scope(params).child("linear"), features, classes) {
    params.allocate(device, DType::f32, seed);
  }
  double accuracy_on(const LabelledFeatures& set) const {
    const NoGrad no_grad;
    return accuracy(layer.forward(set.features), set.labels);
  }
  Params params;
  Linear layer;
};

void train(Classifier& classifier, const LabelledFeatures& set, double lr, const LinearSgdOptions& options) {
  const std::int64_t n = set.features.shape(0), batch = std::min<std::int64_t>(options.batch, n);
  const std::int64_t steps_per_epoch = n / batch;
  const Schedule schedule{.steps = options.epochs * steps_per_epoch};
  const auto optimizer =
      make_sgd(classifier.params, {.weight_decay = options.weight_decay, .nesterov = options.nesterov}, false);
  StepState state(set.features.device());
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    permutation(Philox(options.seed, Purpose::evaluation, 1, 0, static_cast<std::uint32_t>(epoch)), order.data(), n);
    for (std::int64_t i = 0; i < steps_per_epoch; ++i) {
      StepScalars scalars;
      scalars.momentum = options.momentum;
      set_learning_rates(scalars, classifier.params, lr, schedule.at(epoch * steps_per_epoch + i));
      state.set(scalars);
      const std::span<const std::int64_t> rows(order);
      const LabelledFeatures part =
          select_rows(set, rows.subspan(static_cast<std::size_t>(i * batch), static_cast<std::size_t>(batch)));
      classifier.params.zero_grad();
      const Tensor scores = classifier.layer.forward(part.features);
      const Tensor slope = scores.clone();
      cross_entropy_slope(slope, part.labels);
      backward(scores, slope);
      optimizer->step(state);
    }
  }
}

}  // namespace

LinearResult linear_sgd(const LabelledFeatures& train_set, const LabelledFeatures& test_set, int classes,
                        const LinearSgdOptions& options) {
  check_labelled("linear SGD", train_set, classes);
  check_labelled("linear SGD", test_set, classes);
  check(!options.lr_candidates.empty() && options.epochs >= 1 && options.batch >= 1,
        "linear SGD: needs a learning rate, epochs and a batch size of at least 1");
  const auto fresh = [&] {
    return std::make_unique<Classifier>(train_set.features.shape(1), classes, options.seed,
                                        train_set.features.device());
  };
  double lr = options.lr_candidates.front(), held_out = std::numeric_limits<double>::quiet_NaN();
  if (options.lr_candidates.size() > 1) {
    const HeldOut parts = hold_out_a_tenth(train_set, options.seed);
    held_out = -1;
    for (const double candidate : options.lr_candidates) {
      const auto classifier = fresh();
      train(*classifier, parts.fit, candidate, options);
      const double share = classifier->accuracy_on(parts.held_out);
      if (share > held_out) {
        held_out = share;
        lr = candidate;
      }
    }
  }
  const auto classifier = fresh();
  train(*classifier, train_set, lr, options);
  return {.train_accuracy = classifier->accuracy_on(train_set),
          .test_accuracy = classifier->accuracy_on(test_set),
          .lr = lr,
          .iterations = options.epochs,
          .held_out_accuracy = held_out};
}

}  // namespace kagami
