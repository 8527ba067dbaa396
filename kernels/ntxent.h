#pragma once
// NT-Xent, SimCLR's loss (Chen et al. 2020, equation 1), from unit rows, without the matrix of similarities: tiles of
// it are made, used and forgotten, in the backward pass again.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// `rows` = 2N unit vectors; the positive of row i is row i + N (or i - N). S_ij = u_i . u_j / temperature.
struct NtXentShape {
  int rows, dim;
  double temperature;
  int positive_of(int row) const { return row < rows / 2 ? row + rows / 2 : row - rows / 2; }
};

/// For every row i: log_sums = log sum over j != i of e^S_ij, losses = log_sums - S_i,positive, and correct = 1 where
/// the positive is more similar than every other row, else 0.
template <class T>
void ntxent_forward(Cpu device, const NtXentShape& shape, const T* unit, T* log_sums, T* losses, T* correct);

/// d_unit_i = sum over j != i of (e^(S_ij - log_sums_i) + e^(S_ij - log_sums_j) - 2 [j is i's positive]) u_j: the
/// gradient of the summed losses is this over the temperature.
template <class T>
void ntxent_backward(Cpu device, const NtXentShape& shape, const T* unit, const T* log_sums, T* d_unit);

}  // namespace kagami
