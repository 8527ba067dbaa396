#pragma once
// L2 and layer normalization, value by value, for every back end.
#include "kernels/types.h"

namespace kagami {

/// What a row is divided by. A NaN norm stays NaN.
template <class T>
KAGAMI_HD T l2_length(T norm, T eps) {
  return norm < eps ? eps : norm;
}
/// unit: the normalized value; along: the row's y . dy.
template <class T>
KAGAMI_HD T l2_normalize_gradient(T factor, T unit, T dy, T along) {
  return factor * (dy - unit * along);
}

template <class T>
KAGAMI_HD T layer_normal(T x, T mean, T inverse_std) {
  return (x - mean) * inverse_std;
}
/// slope: dy gamma; the means are those of slope and of slope normal over the row.
template <class T>
KAGAMI_HD T layer_norm_gradient(T inverse_std, T slope, T normal, T mean_slope, T mean_slope_normal) {
  return inverse_std * (slope - mean_slope - normal * mean_slope_normal);
}

}  // namespace kagami
