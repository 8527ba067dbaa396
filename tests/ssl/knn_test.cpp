#include "ssl/knn.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/cpu/parallel.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;
using Ranking = std::vector<std::vector<std::int32_t>>;

Tensor rows(const std::vector<float>& values, std::int64_t d) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size()) / d, d}, Device::cpu());
}

const std::vector<float> corners{1, 1, 1, -1, 1, 1, -1, -1, 1, -1, -1, -1};
const std::vector<float> questions{1, 1, 1, -1, 1.1F, -1};

TEST(Knn, AgreesWithAPeersTable) {
  const std::vector<std::int32_t> all{0, 1, 2, 3}, two{0, 1, 0, 1};
  EXPECT_EQ(knn_ranking(rows(corners, 3), all, rows(questions, 3), 4, {.k = 4}), (Ranking{{0, 1, 2, 3}, {1, 3, 0, 2}}));
  EXPECT_EQ(knn_ranking(rows(corners, 3), two, rows(questions, 3), 4, {.k = 2}), (Ranking{{0, 1, 2, 3}, {1, 0, 2, 3}}));
}

std::vector<std::int32_t> labels_of(std::int64_t count, int classes) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(static_cast<std::int32_t>((7 * i + i / 3) % classes));
  return labels;
}

TEST(Knn, OneNeighbourOnTheTrainingSetIsAlwaysRight) {
  const Tensor x = random_tensor({500, 12}, DType::f32, 3);
  const auto labels = labels_of(500, 5);
  EXPECT_EQ(knn_accuracy(x, labels, x, labels, 5, {.k = 1}), 1.0);
}

// Every vote written out in double, with a full sort.
TEST(Knn, AgreesWithTheDefinition) {
  const Tensor bank = random_tensor({300, 6}, DType::f32, 1), queries = random_tensor({290, 6}, DType::f32, 2);
  const auto labels = labels_of(300, 4);
  const KnnOptions options{.k = 25, .temperature = 0.1};
  const auto got = knn_ranking(bank, labels, queries, 4, options);
  const auto b = bank.to_host<double>(), q = queries.to_host<double>();
  for (std::size_t i = 0; i < 290; ++i) {
    std::vector<std::pair<double, std::int32_t>> near;
    for (std::size_t k = 0; k < 300; ++k) {
      double dot = 0, bb = 0, qq = 0;
      for (std::size_t j = 0; j < 6; ++j) {
        dot += b[6 * k + j] * q[6 * i + j];
        bb += b[6 * k + j] * b[6 * k + j];
        qq += q[6 * i + j] * q[6 * i + j];
      }
      near.emplace_back(dot / std::sqrt(bb * qq), labels[k]);
    }
    std::sort(near.rbegin(), near.rend());
    std::vector<double> votes(4);
    for (std::size_t k = 0; k < 25; ++k)
      votes[static_cast<std::size_t>(near[k].second)] += std::exp(near[k].first / 0.1);
    const auto best = std::max_element(votes.begin(), votes.end()) - votes.begin();
    EXPECT_EQ(got[i][0], best) << i;
  }
}

TEST(Knn, TheSameWithAnyNumberOfThreadsAndScale) {
  const Tensor bank = random_tensor({400, 10}, DType::f32, 1), queries = random_tensor({300, 10}, DType::f32, 2);
  const auto labels = labels_of(400, 10);
  cpu::set_threads(1);
  const auto one = knn_ranking(bank, labels, queries, 10, {.k = 20});
  cpu::set_threads(3);
  EXPECT_EQ(knn_ranking(bank, labels, queries, 10, {.k = 20}), one);
  cpu::set_threads(0);
}

TEST(Knn, MisuseIsNamed) {
  const std::vector<std::int32_t> labels{0, 1, 2, 3};
  const Tensor bank = rows(corners, 3), queries = rows(questions, 3);
  EXPECT_THROW(knn_ranking(bank, labels, queries, 4, {.k = 5}), InputError);
  EXPECT_THROW(knn_ranking(bank, labels, queries, 3, {.k = 1}), InputError);
  EXPECT_THROW(knn_ranking(bank, labels, queries, 4, {.k = 1, .temperature = 0}), InputError);
  EXPECT_THROW(knn_ranking(bank, {}, queries, 4, {.k = 1}), InputError);
  EXPECT_THROW(knn_ranking(bank, labels, rows(questions, 2), 4, {.k = 1}), InputError);
  const Tensor broken = bank.clone();
  broken.data<float>()[4] = std::nanf("");
  EXPECT_THROW(knn_ranking(broken, labels, queries, 4, {.k = 1}), InputError);
}

}  // namespace
}  // namespace kagami
