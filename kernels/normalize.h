#pragma once
// Rows brought to unit length, or to mean 0 and variance 1. Sums are taken in double, on CUDA in
// compensated floats.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// What a norm is at least when a row is divided by it.
constexpr double l2_normalize_eps = 1e-12;

/// norms[r] = ||x[r]||, y[r] = x[r] / max(norms[r], eps), for `rows` rows of `dim` values.
template <class T>
void l2_normalize_forward(Cpu device, std::int64_t rows, std::int64_t dim, T eps, const T* x, T* y, T* norms);

/// dx (+)= scale (dy - y (y . dy)) / norm; where the norm was below eps, scale dy / eps.
template <class T>
void l2_normalize_backward(Cpu device, std::int64_t rows, std::int64_t dim, T eps, const T* y, const T* norms,
                           const T* dy, T scale, T* dx, Accumulate accumulate);

/// y = (x - mean) inverse_std gamma + beta with inverse_std = 1 / sqrt(variance + eps), the variance biased; gamma and
/// beta [dim]. Keeps mean and inverse_std of every row.
template <class T>
void layer_norm_forward(Cpu device, std::int64_t rows, std::int64_t dim, T eps, const T* x, const T* gamma,
                        const T* beta, T* y, T* mean, T* inverse_std);

/// dx (+)= inverse_std (g - mean(g) - n mean(g n)), with g = dy gamma and n = (x - mean) inverse_std.
template <class T>
void layer_norm_backward(Cpu device, std::int64_t rows, std::int64_t dim, const T* x, const T* gamma, const T* mean,
                         const T* inverse_std, const T* dy, T* dx, Accumulate accumulate);

/// dgamma (+)= sum over rows of dy n, dbeta (+)= sum of dy; either may be null.
template <class T>
void layer_norm_backward_parameters(Cpu device, std::int64_t rows, std::int64_t dim, const T* x, const T* mean,
                                    const T* inverse_std, const T* dy, T* dgamma, Accumulate accumulate_gamma, T* dbeta,
                                    Accumulate accumulate_beta);

#if KAGAMI_HAS_CUDA
template <class T>
void l2_normalize_forward(Cuda device, std::int64_t rows, std::int64_t dim, Wide<T> eps, const T* x, T* y,
                          Wide<T>* norms);
template <class T>
void l2_normalize_backward(Cuda device, std::int64_t rows, std::int64_t dim, Wide<T> eps, const T* y,
                           const Wide<T>* norms, const T* dy, Wide<T> scale, T* dx, Accumulate accumulate);
template <class T>
void layer_norm_forward(Cuda device, std::int64_t rows, std::int64_t dim, Wide<T> eps, const T* x, const Wide<T>* gamma,
                        const Wide<T>* beta, T* y, Wide<T>* mean, Wide<T>* inverse_std);
template <class T>
void layer_norm_backward(Cuda device, std::int64_t rows, std::int64_t dim, const T* x, const Wide<T>* gamma,
                         const Wide<T>* mean, const Wide<T>* inverse_std, const T* dy, T* dx, Accumulate accumulate);
template <class T>
void layer_norm_backward_parameters(Cuda device, std::int64_t rows, std::int64_t dim, const T* x, const Wide<T>* mean,
                                    const Wide<T>* inverse_std, const T* dy, Wide<T>* dgamma,
                                    Accumulate accumulate_gamma, Wide<T>* dbeta, Accumulate accumulate_beta);
#endif

}  // namespace kagami
