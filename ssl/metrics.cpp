#include "ssl/metrics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

/// Unit rows in double, and their sizes.
struct Rows {
  explicit Rows(const Tensor& z, const char* who) {
    check(z && z.rank() == 2 && z.shape(0) > 0 && z.shape(1) > 0, who, ": needs vectors [n, d], not ", describe(z));
    n = z.shape(0);
    d = z.shape(1);
    values = z.to_host<double>();
    for (std::int64_t i = 0; i < n; ++i) {
      double square = 0;
      for (std::int64_t j = 0; j < d; ++j) square += row(i)[j] * row(i)[j];
      const double norm = std::max(std::sqrt(square), 1e-12);
      for (std::int64_t j = 0; j < d; ++j) row(i)[j] /= norm;
    }
  }
  double* row(std::int64_t i) { return values.data() + i * d; }
  const double* row(std::int64_t i) const { return values.data() + i * d; }
  std::vector<double> mean() const {
    std::vector<double> o(static_cast<std::size_t>(d));
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < d; ++j) o[static_cast<std::size_t>(j)] += row(i)[j] / static_cast<double>(n);
    return o;
  }
  std::int64_t n = 0, d = 0;
  std::vector<double> values;
};

double squared_distance(const double* a, const double* b, std::int64_t d) {
  double sum = 0;
  for (std::int64_t j = 0; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

/// Sums of squares of the covariance's entries.
struct CovarianceSums {
  double trace = 0, diagonal = 0, off_diagonal = 0;
  std::int64_t d = 0;
};

CovarianceSums covariance_sums(const Tensor& z) {
  Rows rows(z, "covariance");
  check(rows.n >= 2, "covariance: needs at least two vectors");
  const std::vector<double> o = rows.mean();
  for (std::int64_t i = 0; i < rows.n; ++i)
    for (std::int64_t j = 0; j < rows.d; ++j) rows.row(i)[j] -= o[static_cast<std::size_t>(j)];
  std::vector<double> own(static_cast<std::size_t>(rows.d)), others(own.size());
  cpu::parallel_for(rows.d, 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<double> c(static_cast<std::size_t>(rows.d));
    for (std::int64_t a = first; a < last; ++a) {
      std::fill(c.begin(), c.end(), 0.0);
      for (std::int64_t i = 0; i < rows.n; ++i) {
        const double x = rows.row(i)[a];
        for (std::int64_t b = 0; b < rows.d; ++b) c[static_cast<std::size_t>(b)] += x * rows.row(i)[b];
      }
      for (std::int64_t b = 0; b < rows.d; ++b) {
        const double entry = c[static_cast<std::size_t>(b)] / static_cast<double>(rows.n - 1);
        if (a == b) {
          own[static_cast<std::size_t>(a)] = entry;
        } else {
          others[static_cast<std::size_t>(a)] += entry * entry;
        }
      }
    }
  });
  CovarianceSums sums{.d = rows.d};
  for (std::size_t a = 0; a < own.size(); ++a) {
    sums.trace += own[a];
    sums.diagonal += own[a] * own[a];
    sums.off_diagonal += others[a];
  }
  return sums;
}

}  // namespace

Spread spread(const Tensor& z) {
  const Rows rows(z, "spread");
  const std::vector<double> o = rows.mean();
  std::vector<double> variance(o.size());
  double length = 0, squares = 0;
  for (const double x : o) squares += x * x;
  for (std::int64_t i = 0; i < rows.n; ++i) {
    length += std::sqrt(squared_distance(rows.row(i), o.data(), rows.d)) / static_cast<double>(rows.n);
    for (std::size_t j = 0; j < o.size(); ++j) {
      const double r = rows.row(i)[j] - o[j];
      variance[j] += r * r / static_cast<double>(rows.n);
    }
  }
  double deviation = 0;
  for (const double v : variance) deviation += std::sqrt(v);
  return {std::sqrt(squares), length, deviation / std::sqrt(static_cast<double>(rows.d))};
}

CovarianceMeasures covariance_measures(const Tensor& z) {
  const CovarianceSums sums = covariance_sums(z);
  return {sums.off_diagonal / static_cast<double>(sums.d),
          sums.trace * sums.trace / (sums.diagonal + sums.off_diagonal)};
}

double covariance_penalty(const Tensor& z) { return covariance_measures(z).penalty; }
double participation_ratio(const Tensor& z) { return covariance_measures(z).participation_ratio; }

double alignment(const Tensor& a, const Tensor& b) {
  const Rows first(a, "alignment"), second(b, "alignment");
  check(a.shape() == b.shape(), "alignment: views differ in shape: ", describe(a), " and ", describe(b));
  double sum = 0;
  for (std::int64_t i = 0; i < first.n; ++i) sum += squared_distance(first.row(i), second.row(i), first.d);
  return sum / static_cast<double>(first.n);
}

double uniformity(const Tensor& z) {
  const Rows rows(z, "uniformity");
  check(rows.n >= 2, "uniformity: needs at least two vectors");
  std::vector<double> sums(static_cast<std::size_t>(rows.n));
  cpu::parallel_for(rows.n, 8, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      for (std::int64_t k = i + 1; k < rows.n; ++k)
        sums[static_cast<std::size_t>(i)] += std::exp(-2 * squared_distance(rows.row(i), rows.row(k), rows.d));
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  return std::log(sum / (0.5 * static_cast<double>(rows.n) * static_cast<double>(rows.n - 1)));
}

}  // namespace kagami
