#pragma once
// Contrastive losses (NT-Xent, InfoNCE): a row must find its positive among negatives. The matrix of similarities is
// never kept: tiles of it are made, used and forgotten, in the backward pass again.
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// What the keys are to the rows. There are as many.
enum class Pairing : std::uint8_t {
  views,    ///< the rows themselves: the positive of row i is i + rows / 2 (or i - rows / 2), all but i are negatives
  batch,    ///< the positive of row i is key i, the other keys are its negatives
  own_key,  ///< the positive of row i is key i, the other keys are nothing to it
};

/// `rows` vectors u_i meet columns c_j: the keys, and the `queue` vectors of a queue, which are negatives of every row.
/// S_ij = u_i . c_j / temperature.
struct ContrastiveShape {
  int rows, queue, dim;
  double temperature;
  Pairing pairing;

  KAGAMI_HD int positive_of(int row) const {
    if (pairing != Pairing::views) return row;
    return row < rows / 2 ? row + rows / 2 : row - rows / 2;
  }
  KAGAMI_HD bool is_negative(int row, int key) const {
    return pairing != Pairing::own_key && key != positive_of(row) && (pairing != Pairing::views || key != row);
  }
  /// Keys against rows.
  ContrastiveShape transposed() const { return {rows, 0, dim, temperature, pairing}; }
};

template <class T>
struct Columns {
  const T* keys;             ///< [rows, dim]
  const T* queue = nullptr;  ///< [queue, dim]
};

/// The larger of two, NaN where there is one.
template <class T>
KAGAMI_HD T larger_or_nan(T a, T b) {
  return a > b || a != a ? a : b;
}

/// A log-sum-exp while it grows: log sum e^S = largest + log sum. Of nothing: -infinity and 0.
template <class T>
struct LogSumExp {
  T largest = -std::numeric_limits<T>::infinity(), sum = 0;
};

template <class T>
struct ContrastiveRow {
  T log_sum, loss, correct;
};
/// What a row comes to, from the similarity of its positive and the sum over its negatives.
template <class T>
KAGAMI_HD ContrastiveRow<T> contrastive_row(T positive, const LogSumExp<T>& negatives) {
  const T top = larger_or_nan(positive, negatives.largest);
  const T sum = negatives.sum * std::exp(negatives.largest - top) + std::exp(positive - top);
  return {top + std::log(sum), (top - positive) + std::log(sum), positive > negatives.largest ? T(1) : T(0)};
}

/// For every row i: log_sums = log sum of e^S_ij over its positive and its negatives, losses = log_sums -
/// S_i,positive, and correct = 1 where the positive is more similar than every negative, else 0.
template <class T>
void contrastive_forward(Cpu device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns,
                         T* log_sums, T* losses, T* correct);

/// d_rows_i = sum of w_ij c_j over row i's positive and negatives, where
///   w_ij = (e^(S_ij - row_sums_i) - p_ij) + (e^(S_ij - column_sums_j) - p_ij),  p_ij = 1 for the positive, else 0;
/// a term whose sums are null is left out, as the second is for the queue. Over the temperature, this is the gradient
/// of the summed losses with respect to
///   rows that are no keys: row_sums = log_sums; rows that are the keys too: both sums are log_sums;
///   keys that are no rows: of the transposed shape, keys in the place of rows, column_sums = log_sums.
template <class T>
void contrastive_backward(Cpu device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns,
                          const T* row_sums, const T* column_sums, T* d_rows);

#if KAGAMI_HAS_CUDA
// T: float. The loss of bf16 embeddings is computed in float too: at low temperatures bf16 has no digits left for it.
template <class T>
void contrastive_forward(Cuda device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns,
                         T* log_sums, T* losses, T* correct);
template <class T>
void contrastive_backward(Cuda device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns,
                          const T* row_sums, const T* column_sums, T* d_rows);
#endif

}  // namespace kagami
