#pragma once
// What linear probes share: standardised features, a held-out part, accuracy.
#include <cstdint>
#include <span>
#include <vector>

#include "ssl/linear.h"

namespace kagami {

/// Mean and deviation of each feature, of the training set.
class Standardizer {
 public:
  explicit Standardizer(const Tensor& features);
  /// (x - mean) / deviation; features that never vary become 0.
  Tensor operator()(const Tensor& features) const;

 private:
  std::vector<double> mean_, factor_;
};

/// Throws InputError, naming the probe, unless there is a label in 0 ... classes-1 for every row.
void check_labelled(const char* probe, const LabelledFeatures& set, int classes);

LabelledFeatures select_rows(const LabelledFeatures& set, std::span<const std::int64_t> rows);

struct HeldOut {
  LabelledFeatures fit, held_out;
};
/// A random tenth (at least one row) is held out.
HeldOut hold_out_a_tenth(const LabelledFeatures& set, std::uint64_t seed);

/// Turns scores [n, classes] into their gradient (softmax - one-hot) / n, in place; returns the mean cross-entropy.
double cross_entropy_slope(const Tensor& scores, std::span<const std::int32_t> labels);

/// Share of rows of scores [n, classes] whose largest entry is the label's.
double accuracy(const Tensor& scores, std::span<const std::int32_t> labels);

}  // namespace kagami
