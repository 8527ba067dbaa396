#include <cmath>
#include <vector>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/cpu/parallel.h"
#include "ssl/linear.h"
#include "ssl/probe.h"

namespace kagami {
namespace {

/// Cholesky factor L (A = L L^T) in place of the lower triangle of A [d, d], row after row; rows below are cut among
/// threads column by column.
void factorize(std::vector<double>& a, std::int64_t d) {
  const auto row = [&](std::int64_t i) { return a.data() + i * d; };
  const auto dot = [&](std::int64_t i, std::int64_t k, std::int64_t length) {
    double sum = 0;
    for (std::int64_t j = 0; j < length; ++j) sum += row(i)[j] * row(k)[j];
    return sum;
  };
  for (std::int64_t k = 0; k < d; ++k) {
    const double pivot = row(k)[k] - dot(k, k, k);
    check(pivot > 0, "ridge: the features are not finite, or the penalty is too small");
    row(k)[k] = std::sqrt(pivot);
    cpu::parallel_for(d - k - 1, 64, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = k + 1 + first; i < k + 1 + last; ++i) row(i)[k] = (row(i)[k] - dot(i, k, k)) / row(k)[k];
    });
  }
}

/// Solves L L^T x = b in place.
void solve(const std::vector<double>& l, std::int64_t d, double* b) {
  for (std::int64_t i = 0; i < d; ++i) {
    for (std::int64_t j = 0; j < i; ++j) b[i] -= l[static_cast<std::size_t>(i * d + j)] * b[j];
    b[i] /= l[static_cast<std::size_t>(i * d + i)];
  }
  for (std::int64_t i = d - 1; i >= 0; --i) {
    for (std::int64_t j = i + 1; j < d; ++j) b[i] -= l[static_cast<std::size_t>(j * d + i)] * b[j];
    b[i] /= l[static_cast<std::size_t>(i * d + i)];
  }
}

}  // namespace

LinearResult ridge_probe(const LabelledFeatures& train, const LabelledFeatures& test, int classes, double l2) {
  check_labelled("ridge", train, classes);
  check_labelled("ridge", test, classes);
  check(l2 > 0, "ridge: penalty ", l2, " is not positive");
  const NoGrad no_grad;
  const Standardizer standardize(train.features);
  const Tensor x = standardize(train.features);
  const std::int64_t n = x.shape(0), d = x.shape(1);
  std::vector<double> gram = matmul(x, x, true, false).to_host<double>();
  for (std::int64_t i = 0; i < d; ++i) gram[static_cast<std::size_t>(i * d + i)] += l2;
  factorize(gram, d);
  // Standardised features have mean 0, so the bias is the share of the class and the targets can stay uncentred.
  std::vector<float> one_hot(static_cast<std::size_t>(n * classes)), bias(static_cast<std::size_t>(classes)), weights;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t label = train.labels[static_cast<std::size_t>(i)];
    one_hot[static_cast<std::size_t>(i * classes + label)] = 1;
    bias[static_cast<std::size_t>(label)] += 1 / static_cast<float>(n);
  }
  std::vector<double> right = matmul(Tensor::from(one_hot, {n, classes}, x.device()), x, true, false).to_host<double>();
  for (int c = 0; c < classes; ++c) solve(gram, d, right.data() + c * d);
  weights.assign(right.begin(), right.end());
  const Tensor w = Tensor::from(weights, {classes, d}, x.device()), b = Tensor::from(bias, {classes}, x.device());
  return {.train_accuracy = accuracy(linear(x, w, b), train.labels),
          .test_accuracy = accuracy(linear(standardize(test.features), w, b), test.labels),
          .l2 = l2};
}

}  // namespace kagami
