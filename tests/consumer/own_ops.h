#pragma once
// Ops that Kagami does not have.
#include "engine/tensor.h"

kagami::Tensor softsign(const kagami::Tensor& x);  ///< x / (1 + |x|), element by element

struct RowMoments {
  kagami::Tensor mean, deviation;  ///< [rows]
};
/// Mean and standard deviation (over n) of each row of x [rows, columns].
RowMoments row_moments(const kagami::Tensor& x);
