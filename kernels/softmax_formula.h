#pragma once
// Softmax and cross-entropy, value by value, for every back end.
#include <cmath>

#include "kernels/types.h"

namespace kagami {

/// What finishes a row: the logarithm of the sum of its e^(x - largest), or one over it.
template <class T, class Sum>
KAGAMI_HD T softmax_finish(bool logarithm, Sum sum) {
  return static_cast<T>(logarithm ? std::log(sum) : 1 / sum);
}

/// A value's share of the sum that the gradient of its row needs.
template <class T>
KAGAMI_HD T softmax_slope(bool logarithm, T y, T dy) {
  return logarithm ? dy : dy * y;
}
template <class T>
KAGAMI_HD T softmax_gradient(bool logarithm, T y, T dy, T sum_of_slopes) {
  return logarithm ? dy - std::exp(y) * sum_of_slopes : y * (dy - sum_of_slopes);
}

template <class T>
KAGAMI_HD T cross_entropy_gradient(T scale, T log_probability, bool is_label) {
  return scale * (std::exp(log_probability) - T(is_label));
}

}  // namespace kagami
