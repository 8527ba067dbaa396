#include "ssl/knn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

constexpr std::int64_t query_block = 256;  // queries whose similarities to the whole bank are in memory at once

Tensor unit_rows(const Tensor& x) {
  const Tensor y = x.clone();
  const std::int64_t d = x.shape(1);
  cpu::parallel_for(x.shape(0), 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      float* row = y.data<float>() + i * d;
      double square = 0;
      for (std::int64_t j = 0; j < d; ++j) square += static_cast<double>(row[j]) * row[j];
      check(std::isfinite(square), "knn: the features of image ", i, " are not finite: the network diverged");
      const double norm = std::max(std::sqrt(square), 1e-12);
      for (std::int64_t j = 0; j < d; ++j) row[j] = static_cast<float>(row[j] / norm);
    }
  });
  return y;
}

/// Classes by falling votes of the k bank rows that are most similar; of equal ones the earlier row, the smaller class.
std::vector<std::int32_t> vote(const float* similarity, std::span<const std::int32_t> labels, int classes,
                               const KnnOptions& options) {
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return similarity[a] != similarity[b] ? similarity[a] > similarity[b] : a < b;
  };
  std::vector<std::int32_t> nearest(static_cast<std::size_t>(options.k));  // a heap, its front the least similar
  std::iota(nearest.begin(), nearest.end(), 0);
  std::make_heap(nearest.begin(), nearest.end(), before);
  for (auto i = static_cast<std::int32_t>(options.k); i < static_cast<std::int32_t>(labels.size()); ++i) {
    if (similarity[i] <= similarity[nearest.front()]) continue;
    std::pop_heap(nearest.begin(), nearest.end(), before);
    nearest.back() = i;
    std::push_heap(nearest.begin(), nearest.end(), before);
  }
  std::sort_heap(nearest.begin(), nearest.end(), before);
  std::vector<double> votes(static_cast<std::size_t>(classes));
  for (const std::int32_t near : nearest) {
    const auto i = static_cast<std::size_t>(near);
    const double nearness = similarity[i] - similarity[nearest[0]];  // from the nearest: exp cannot overflow
    votes[static_cast<std::size_t>(labels[i])] += std::exp(nearness / options.temperature);
  }
  std::vector<std::int32_t> ranking(votes.size());
  std::iota(ranking.begin(), ranking.end(), 0);
  std::stable_sort(ranking.begin(), ranking.end(), [&](std::int32_t a, std::int32_t b) {
    return votes[static_cast<std::size_t>(a)] > votes[static_cast<std::size_t>(b)];
  });
  return ranking;
}

void check_arguments(const Tensor& bank, std::span<const std::int32_t> labels, const Tensor& queries, int classes,
                     const KnnOptions& options) {
  check(bank && queries && bank.rank() == 2 && queries.rank() == 2 && bank.shape(1) == queries.shape(1),
        "knn: bank and queries must be [n, d] and [m, d], not ", describe(bank), " and ", describe(queries));
  check(bank.dtype() == DType::f32 && queries.dtype() == DType::f32, "knn: features are f32, not ", describe(bank),
        " and ", describe(queries));
  check(static_cast<std::int64_t>(labels.size()) == bank.shape(0), "knn: ", labels.size(), " labels for ",
        bank.shape(0), " bank rows");
  check(options.k >= 1 && options.k <= bank.shape(0), "knn: k = ", options.k, " is outside 1 ... ", bank.shape(0),
        ", the number of images in the bank");
  check(options.temperature > 0, "knn: temperature ", options.temperature, " is not positive");
  for (const std::int32_t label : labels)
    check(label >= 0 && label < classes, "knn: label ", label, " is outside 0 ... ", classes - 1);
}

}  // namespace

std::vector<std::vector<std::int32_t>> knn_ranking(const Tensor& bank, std::span<const std::int32_t> labels,
                                                   const Tensor& queries, int classes, const KnnOptions& options) {
  check_arguments(bank, labels, queries, classes, options);
  const NoGrad no_grad;
  const Tensor unit_bank = unit_rows(bank), unit_queries = unit_rows(queries);
  std::vector<std::vector<std::int32_t>> rankings(static_cast<std::size_t>(queries.shape(0)));
  for (std::int64_t first = 0; first < queries.shape(0); first += query_block) {
    const std::int64_t count = std::min(query_block, queries.shape(0) - first);
    const Tensor similarity = matmul(unit_queries.rows(first, count), unit_bank, false, true);
    cpu::parallel_for(count, 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        rankings[static_cast<std::size_t>(first + i)] =
            vote(similarity.data<float>() + i * bank.shape(0), labels, classes, options);
    });
  }
  return rankings;
}

double knn_accuracy(const Tensor& bank, std::span<const std::int32_t> bank_labels, const Tensor& queries,
                    std::span<const std::int32_t> query_labels, int classes, const KnnOptions& options) {
  const auto rankings = knn_ranking(bank, bank_labels, queries, classes, options);
  check(rankings.size() == query_labels.size() && !rankings.empty(), "knn: ", query_labels.size(), " labels for ",
        rankings.size(), " queries");
  std::size_t right = 0;
  for (std::size_t i = 0; i < rankings.size(); ++i) right += rankings[i][0] == query_labels[i];
  return static_cast<double>(right) / static_cast<double>(rankings.size());
}

}  // namespace kagami
