#pragma once
// What shows whether a representation collapses. All look at unit rows Z = z / |z| of z [n, d] (f32 or f64) and compute
// in double; ssl/README.md has the identities between them.
#include "engine/tensor.h"

namespace kagami {

/// With o = mean of the rows and r = Z - o:
struct Spread {
  double m_o = 0;         ///< |o|: 1 when all vectors point one way
  double m_r = 0;         ///< mean |r_i|: 0 when collapsed, near 1 when healthy
  double std_sqrt_d = 0;  ///< mean over dimensions of the (biased) standard deviation, times sqrt(d): at most 1
};
Spread spread(const Tensor& z);

/// Sum over i != j of C_ij^2 / d, with the unbiased covariance C of Z.
double covariance_penalty(const Tensor& z);
/// (tr C)^2 / |C|_F^2: how many directions carry the variance, from 1 to d.
double participation_ratio(const Tensor& z);
/// Both of them from one covariance.
struct CovarianceMeasures {
  double penalty = 0, participation_ratio = 0;
};
CovarianceMeasures covariance_measures(const Tensor& z);
/// Mean |Za_i - Zb_i|^2 of two views (Wang and Isola 2020).
double alignment(const Tensor& a, const Tensor& b);
/// log of the mean over pairs i < j of exp(-2 |Z_i - Z_j|^2) (Wang and Isola 2020).
double uniformity(const Tensor& z);

}  // namespace kagami
