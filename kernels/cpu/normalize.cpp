#include "kernels/normalize.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/normalize_formula.h"

namespace kagami {
namespace {

constexpr std::int64_t grain = 1 << 14;  // elements of a piece of work

template <class F>
void for_each_row(std::int64_t rows, std::int64_t dim, F&& f) {
  cpu::parallel_for(rows, 1 + grain / (dim + 1), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) f(r);
  });
}

/// Sum of term(i) in double, in four interleaved parts that do not wait for one another.
template <class F>
double sum_of(std::int64_t count, F&& term) {
  double part[4] = {};
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (int k = 0; k < 4; ++k) part[k] += static_cast<double>(term(i + k));
  for (; i < count; ++i) part[0] += static_cast<double>(term(i));
  return (part[0] + part[1]) + (part[2] + part[3]);
}

template <class T>
void put(T& to, T value, Accumulate accumulate) {
  to = accumulate == Accumulate::yes ? to + value : value;
}

}  // namespace

template <class T>
void l2_normalize_forward(Cpu, std::int64_t rows, std::int64_t dim, T eps, const T* x, T* y, T* norms) {
  for_each_row(rows, dim, [&](std::int64_t r) {
    const T* from = x + r * dim;
    const T norm = static_cast<T>(std::sqrt(
        sum_of(dim, [&](std::int64_t i) { return static_cast<double>(from[i]) * static_cast<double>(from[i]); })));
    norms[r] = norm;
    const T length = l2_length(norm, eps);
    for (std::int64_t i = 0; i < dim; ++i) y[r * dim + i] = from[i] / length;
  });
}

template <class T>
void l2_normalize_backward(Cpu, std::int64_t rows, std::int64_t dim, T eps, const T* y, const T* norms, const T* dy,
                           T scale, T* dx, Accumulate accumulate) {
  for_each_row(rows, dim, [&](std::int64_t r) {
    const T *unit = y + r * dim, *g = dy + r * dim;
    const bool cut = norms[r] < eps;
    const T along = cut ? T(0) : static_cast<T>(sum_of(dim, [&](std::int64_t i) {
      return static_cast<double>(unit[i]) * static_cast<double>(g[i]);
    }));
    const T factor = scale / l2_length(norms[r], eps);
    for (std::int64_t i = 0; i < dim; ++i)
      put(dx[r * dim + i], l2_normalize_gradient(factor, unit[i], g[i], along), accumulate);
  });
}

template <class T>
void layer_norm_forward(Cpu, std::int64_t rows, std::int64_t dim, T eps, const T* x, const T* gamma, const T* beta,
                        T* y, T* mean, T* inverse_std) {
  for_each_row(rows, dim, [&](std::int64_t r) {
    const T* from = x + r * dim;
    const double centre = sum_of(dim, [&](std::int64_t i) { return from[i]; }) / static_cast<double>(dim);
    const double variance = sum_of(dim,
                                   [&](std::int64_t i) {
                                     const double apart = static_cast<double>(from[i]) - centre;
                                     return apart * apart;
                                   }) /
                            static_cast<double>(dim);
    mean[r] = static_cast<T>(centre);
    inverse_std[r] = static_cast<T>(1 / std::sqrt(variance + static_cast<double>(eps)));
    for (std::int64_t i = 0; i < dim; ++i)
      y[r * dim + i] = layer_normal(from[i], mean[r], inverse_std[r]) * gamma[i] + beta[i];
  });
}

template <class T>
void layer_norm_backward(Cpu, std::int64_t rows, std::int64_t dim, const T* x, const T* gamma, const T* mean,
                         const T* inverse_std, const T* dy, T* dx, Accumulate accumulate) {
  for_each_row(rows, dim, [&](std::int64_t r) {
    const T *from = x + r * dim, *g = dy + r * dim;
    const auto normal = [&](std::int64_t i) { return layer_normal(from[i], mean[r], inverse_std[r]); };
    const double count = static_cast<double>(dim);
    const T mean_g = static_cast<T>(sum_of(dim, [&](std::int64_t i) { return g[i] * gamma[i]; }) / count);
    const T mean_gn = static_cast<T>(sum_of(dim, [&](std::int64_t i) { return g[i] * gamma[i] * normal(i); }) / count);
    for (std::int64_t i = 0; i < dim; ++i)
      put(dx[r * dim + i], layer_norm_gradient(inverse_std[r], g[i] * gamma[i], normal(i), mean_g, mean_gn),
          accumulate);
  });
}

template <class T>
void layer_norm_backward_parameters(Cpu, std::int64_t rows, std::int64_t dim, const T* x, const T* mean,
                                    const T* inverse_std, const T* dy, T* dgamma, Accumulate accumulate_gamma, T* dbeta,
                                    Accumulate accumulate_beta) {
  constexpr std::int64_t tile = 32;  // columns; all rows of a column are added up in order
  cpu::parallel_for(dim, tile, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += tile) {
      const std::int64_t count = std::min(tile, end - first);
      double of_gamma[tile] = {}, of_beta[tile] = {};
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t i = 0; i < count; ++i) {
          const std::int64_t at = r * dim + first + i;
          of_gamma[i] += static_cast<double>(dy[at] * layer_normal(x[at], mean[r], inverse_std[r]));
          of_beta[i] += static_cast<double>(dy[at]);
        }
      for (std::int64_t i = 0; i < count; ++i) {
        if (dgamma) put(dgamma[first + i], static_cast<T>(of_gamma[i]), accumulate_gamma);
        if (dbeta) put(dbeta[first + i], static_cast<T>(of_beta[i]), accumulate_beta);
      }
    }
  });
}

template void l2_normalize_forward(Cpu, std::int64_t, std::int64_t, float, const float*, float*, float*);
template void l2_normalize_backward(Cpu, std::int64_t, std::int64_t, float, const float*, const float*, const float*,
                                    float, float*, Accumulate);
template void layer_norm_forward(Cpu, std::int64_t, std::int64_t, float, const float*, const float*, const float*,
                                 float*, float*, float*);
template void layer_norm_backward(Cpu, std::int64_t, std::int64_t, const float*, const float*, const float*,
                                  const float*, const float*, float*, Accumulate);
template void layer_norm_backward_parameters(Cpu, std::int64_t, std::int64_t, const float*, const float*, const float*,
                                             const float*, float*, Accumulate, float*, Accumulate);
template void l2_normalize_forward(Cpu, std::int64_t, std::int64_t, double, const double*, double*, double*);
template void l2_normalize_backward(Cpu, std::int64_t, std::int64_t, double, const double*, const double*,
                                    const double*, double, double*, Accumulate);
template void layer_norm_forward(Cpu, std::int64_t, std::int64_t, double, const double*, const double*, const double*,
                                 double*, double*, double*);
template void layer_norm_backward(Cpu, std::int64_t, std::int64_t, const double*, const double*, const double*,
                                  const double*, const double*, double*, Accumulate);
template void layer_norm_backward_parameters(Cpu, std::int64_t, std::int64_t, const double*, const double*,
                                             const double*, const double*, double*, Accumulate, double*, Accumulate);

}  // namespace kagami
