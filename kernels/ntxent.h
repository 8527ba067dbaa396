#pragma once
// NT-Xent, SimCLR's loss (Chen et al. 2020, equation 1), from unit rows, without the matrix of similarities: tiles of
// it are made, used and forgotten, in the backward pass again.
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// `rows` = 2N unit vectors; the positive of row i is row i + N (or i - N). S_ij = u_i . u_j / temperature.
struct NtXentShape {
  int rows, dim;
  double temperature;
  KAGAMI_HD int positive_of(int row) const { return row < rows / 2 ? row + rows / 2 : row - rows / 2; }
};

/// A log-sum-exp while it grows: log sum e^S = largest + log sum. Of nothing: -infinity and 0.
template <class T>
struct LogSumExp {
  T largest = -std::numeric_limits<T>::infinity(), sum = 0;
};

template <class T>
struct NtXentRow {
  T log_sum, loss, correct;
};
/// What a row comes to, from the similarity of its positive and the sum over its negatives.
template <class T>
KAGAMI_HD NtXentRow<T> ntxent_row(T positive, const LogSumExp<T>& negatives) {
  const T top = positive > negatives.largest ? positive : negatives.largest;
  const T sum = negatives.sum * std::exp(negatives.largest - top) + std::exp(positive - top);
  return {top + std::log(sum), (top - positive) + std::log(sum), positive > negatives.largest ? T(1) : T(0)};
}

/// For every row i: log_sums = log sum over j != i of e^S_ij, losses = log_sums - S_i,positive, and correct = 1 where
/// the positive is more similar than every other row, else 0.
template <class T>
void ntxent_forward(Cpu device, const NtXentShape& shape, const T* unit, T* log_sums, T* losses, T* correct);

/// d_unit_i = sum over j != i of (e^(S_ij - log_sums_i) + e^(S_ij - log_sums_j) - 2 [j is i's positive]) u_j: the
/// gradient of the summed losses is this over the temperature.
template <class T>
void ntxent_backward(Cpu device, const NtXentShape& shape, const T* unit, const T* log_sums, T* d_unit);

#if KAGAMI_HAS_CUDA
// T: float. The loss of bf16 embeddings is computed in float too: at low temperatures bf16 has no digits left for it.
template <class T>
void ntxent_forward(Cuda device, const NtXentShape& shape, const T* unit, T* log_sums, T* losses, T* correct);
template <class T>
void ntxent_backward(Cuda device, const NtXentShape& shape, const T* unit, const T* log_sums, T* d_unit);
#endif

}  // namespace kagami
