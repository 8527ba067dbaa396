#include "ssl/probe.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"

namespace kagami {

Standardizer::Standardizer(const Tensor& features)
    : mean_(static_cast<std::size_t>(features.shape(1))), factor_(mean_.size()) {
  const std::int64_t n = features.shape(0), d = features.shape(1);
  const float* x = features.data<float>();
  std::vector<double> square(mean_.size());
  for (std::int64_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < mean_.size(); ++j)
      mean_[j] += x[static_cast<std::size_t>(i * d) + j] / static_cast<double>(n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < mean_.size(); ++j) {
      const double r = x[static_cast<std::size_t>(i * d) + j] - mean_[j];
      square[j] += r * r / static_cast<double>(n);
    }
  for (std::size_t j = 0; j < mean_.size(); ++j) {
    check(std::isfinite(square[j]), "probe: the features are not finite: the network diverged");
    const double deviation = std::sqrt(square[j]);
    factor_[j] = deviation > 1e-7 * (1 + std::abs(mean_[j])) ? 1 / deviation : 0;
  }
}

Tensor Standardizer::operator()(const Tensor& features) const {
  check(features.rank() == 2 && features.shape(1) == static_cast<std::int64_t>(mean_.size()), "probe: ", mean_.size(),
        " features were standardised, not ", describe(features));
  const Tensor y = features.clone();
  const auto d = features.shape(1);
  cpu::parallel_for(features.shape(0), 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      float* row = y.data<float>() + i * d;
      for (std::size_t j = 0; j < mean_.size(); ++j) row[j] = static_cast<float>((row[j] - mean_[j]) * factor_[j]);
    }
  });
  return y;
}

void check_labelled(const char* probe, const LabelledFeatures& set, int classes) {
  check(set.features && set.features.rank() == 2 && set.features.dtype() == DType::f32, probe,
        ": features are [n, d] f32, not ", describe(set.features));
  check(set.features.shape(0) == static_cast<std::int64_t>(set.labels.size()) && !set.labels.empty(), probe, ": ",
        set.labels.size(), " labels for ", set.features.shape(0), " rows");
  for (const std::int32_t label : set.labels)
    check(label >= 0 && label < classes, probe, ": label ", label, " is outside 0 ... ", classes - 1);
}

LabelledFeatures select_rows(const LabelledFeatures& set, std::span<const std::int64_t> rows) {
  LabelledFeatures chosen{
      Tensor::empty({static_cast<std::int64_t>(rows.size()), set.features.shape(1)}, DType::f32, set.features.device()),
      {}};
  const std::int64_t d = set.features.shape(1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(set.features.data<float>() + rows[i] * d, d,
                chosen.features.data<float>() + static_cast<std::int64_t>(i) * d);
    chosen.labels.push_back(set.labels[static_cast<std::size_t>(rows[i])]);
  }
  return chosen;
}

HeldOut hold_out_a_tenth(const LabelledFeatures& set, std::uint64_t seed) {
  const std::int64_t n = set.features.shape(0), held = std::max<std::int64_t>(1, n / 10);
  check(n >= 2, "probe: holding out a part needs at least two rows");
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  permutation(Philox(seed, Purpose::evaluation, 0, 0, 0), order.data(), n);
  const std::span<const std::int64_t> rows(order);
  return {select_rows(set, rows.subspan(static_cast<std::size_t>(held))),
          select_rows(set, rows.first(static_cast<std::size_t>(held)))};
}

double cross_entropy_slope(const Tensor& scores, std::span<const std::int32_t> labels) {
  const std::int64_t n = scores.shape(0), classes = scores.shape(1);
  std::vector<double> losses(static_cast<std::size_t>(n));
  cpu::parallel_for(n, 256, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      float* row = scores.data<float>() + i * classes;
      const std::int32_t label = labels[static_cast<std::size_t>(i)];
      const double highest = *std::max_element(row, row + classes);
      double total = 0;
      for (std::int64_t c = 0; c < classes; ++c) total += std::exp(row[c] - highest);
      losses[static_cast<std::size_t>(i)] = std::log(total) + highest - row[label];
      for (std::int64_t c = 0; c < classes; ++c) {
        const double p = std::exp(row[c] - highest) / total;
        row[c] = static_cast<float>((p - (c == label)) / static_cast<double>(n));
      }
    }
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum / static_cast<double>(n);
}

double accuracy(const Tensor& scores, std::span<const std::int32_t> labels) {
  const std::int64_t classes = scores.shape(1);
  check(scores.shape(0) == static_cast<std::int64_t>(labels.size()) && !labels.empty(), "accuracy: ", labels.size(),
        " labels for ", describe(scores));
  std::int64_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const float* row = scores.data<float>() + static_cast<std::int64_t>(i) * classes;
    right += std::max_element(row, row + classes) - row == labels[i];
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

}  // namespace kagami
