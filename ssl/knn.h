#pragma once
// k nearest neighbours with weighted votes (Wu et al. 2018): an evaluation without training.
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor.h"
#include "ssl/config.h"

namespace kagami {

/// Classes of each query from most to least likely, [queries][classes]: its k nearest bank rows in cosine similarity s
/// vote for their label with weight exp(s / temperature). Equal votes go to the smaller class. Rows need not have unit
/// length. bank: [n, d], queries: [m, d], f32.
std::vector<std::vector<std::int32_t>> knn_ranking(const Tensor& bank, std::span<const std::int32_t> labels,
                                                   const Tensor& queries, int classes, const KnnOptions& options);

/// Share of queries whose most likely class is their label.
double knn_accuracy(const Tensor& bank, std::span<const std::int32_t> bank_labels, const Tensor& queries,
                    std::span<const std::int32_t> query_labels, int classes, const KnnOptions& options);

}  // namespace kagami
