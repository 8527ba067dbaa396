// A row is worked on by a warp or a block. Values are read once for every sum over them: a row stays in the cache.
#include "kernels/normalize.h"

#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/normalize_formula.h"

namespace kagami {
namespace {

using cuda::launch_teams;
using cuda::team_row;
using cuda::team_sum;

template <class Team, class T>
__global__ void l2_normalize_kernel(std::int64_t rows, std::int64_t dim, float eps, const T* x, T* y, float* norms) {
  const std::int64_t row = team_row<Team>();
  if (row >= rows) return;
  x += row * dim;
  y += row * dim;
  const float norm = std::sqrt(team_sum<Team>(dim, [&](std::int64_t i) {
    const auto value = static_cast<float>(x[i]);
    return value * value;
  }));
  if (Team::rank() == 0) norms[row] = norm;
  const float length = l2_length(norm, eps);
  for (std::int64_t i = Team::rank(); i < dim; i += Team::size) y[i] = T(static_cast<float>(x[i]) / length);
}

template <class Team, class T>
__global__ void l2_normalize_backward_kernel(std::int64_t rows, std::int64_t dim, float eps, const T* y,
                                             const float* norms, const T* dy, float scale, T* dx,
                                             Accumulate accumulate) {
  const std::int64_t row = team_row<Team>();
  if (row >= rows) return;
  const std::int64_t start = row * dim;
  const float norm = norms[row], factor = scale / l2_length(norm, eps);
  float along = team_sum<Team>(
      dim, [&](std::int64_t i) { return static_cast<float>(y[start + i]) * static_cast<float>(dy[start + i]); });
  if (norm < eps) along = 0;
  for (std::int64_t at = start + Team::rank(); at < start + dim; at += Team::size)
    cuda::put(dx[at], l2_normalize_gradient(factor, static_cast<float>(y[at]), static_cast<float>(dy[at]), along),
              accumulate);
}

template <class Team, class T>
__global__ void layer_norm_kernel(std::int64_t rows, std::int64_t dim, float eps, const T* x, const float* gamma,
                                  const float* beta, T* y, float* mean, float* inverse_std) {
  const std::int64_t row = team_row<Team>();
  if (row >= rows) return;
  x += row * dim;
  y += row * dim;
  const auto count = static_cast<float>(dim);
  const float centre = team_sum<Team>(dim, [&](std::int64_t i) { return static_cast<float>(x[i]); }) / count;
  const float variance = team_sum<Team>(dim,
                                        [&](std::int64_t i) {
                                          const float apart = static_cast<float>(x[i]) - centre;
                                          return apart * apart;
                                        }) /
                         count;
  const float scale = 1 / std::sqrt(variance + eps);
  if (Team::rank() == 0) {
    mean[row] = centre;
    inverse_std[row] = scale;
  }
  for (std::int64_t i = Team::rank(); i < dim; i += Team::size)
    y[i] = T(layer_normal(static_cast<float>(x[i]), centre, scale) * gamma[i] + beta[i]);
}

template <class Team, class T>
__global__ void layer_norm_backward_kernel(std::int64_t rows, std::int64_t dim, const T* x, const float* gamma,
                                           const float* mean, const float* inverse_std, const T* dy, T* dx,
                                           Accumulate accumulate) {
  const std::int64_t row = team_row<Team>();
  if (row >= rows) return;
  const std::int64_t start = row * dim;
  const float centre = mean[row], scale = inverse_std[row];
  cuda::CompensatedSum slopes, slope_normals;
  for (std::int64_t i = Team::rank(); i < dim; i += Team::size) {
    const float slope = static_cast<float>(dy[start + i]) * gamma[i];
    slopes.add(slope);
    slope_normals.add(slope * layer_normal(static_cast<float>(x[start + i]), centre, scale));
  }
  const Vec<float, 2> sums = Team::reduce(Vec<float, 2>{{slopes.total(), slope_normals.total()}}, cuda::Add{});
  const auto count = static_cast<float>(dim);
  for (std::int64_t i = Team::rank(); i < dim; i += Team::size) {
    const float normal = layer_normal(static_cast<float>(x[start + i]), centre, scale);
    cuda::put(dx[start + i],
              layer_norm_gradient(scale, static_cast<float>(dy[start + i]) * gamma[i], normal, sums[0] / count,
                                  sums[1] / count),
              accumulate);
  }
}

// Gradients of gamma and beta: a block adds up `slice_rows` rows of `slice_columns` columns, then the slices of each
// column are added in order.
constexpr int slice_columns = 32, slice_threads = 8;  // threads: x along columns, y along rows
constexpr std::int64_t slice_rows = 128;

struct ColumnSums {
  float gamma, beta;
};

template <class T>
__global__ void layer_norm_slice_kernel(std::int64_t rows, std::int64_t dim, const T* x, const float* mean,
                                        const float* inverse_std, const T* dy, ColumnSums* slices) {
  KAGAMI_SHARED(parts, ColumnSums[slice_threads][slice_columns]);
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * slice_columns + threadIdx.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * slice_rows;
  const std::int64_t last = first + slice_rows < rows ? first + slice_rows : rows;
  cuda::CompensatedSum of_gamma, of_beta;
  if (column < dim) {
    for (std::int64_t r = first + threadIdx.y; r < last; r += slice_threads) {
      const std::int64_t at = r * dim + column;
      const auto slope = static_cast<float>(dy[at]);
      of_gamma.add(slope * layer_normal(static_cast<float>(x[at]), mean[r], inverse_std[r]));
      of_beta.add(slope);
    }
  }
  parts[threadIdx.y][threadIdx.x] = {of_gamma.total(), of_beta.total()};
  __syncthreads();
  if (threadIdx.y != 0 || column >= dim) return;
  ColumnSums sums = parts[0][threadIdx.x];
  for (int y = 1; y < slice_threads; ++y) {
    sums.gamma += parts[y][threadIdx.x].gamma;
    sums.beta += parts[y][threadIdx.x].beta;
  }
  slices[blockIdx.y * dim + column] = sums;
}

__global__ void layer_norm_finish_kernel(std::int64_t dim, std::int64_t slice_count, const ColumnSums* slices,
                                         float* dgamma, Accumulate accumulate_gamma, float* dbeta,
                                         Accumulate accumulate_beta) {
  for (std::int64_t column = cuda::first_element(); column < dim; column += cuda::element_step()) {
    cuda::CompensatedSum of_gamma, of_beta;
    for (std::int64_t s = 0; s < slice_count; ++s) {
      of_gamma.add(slices[s * dim + column].gamma);
      of_beta.add(slices[s * dim + column].beta);
    }
    if (dgamma) cuda::put(dgamma[column], of_gamma.total(), accumulate_gamma);
    if (dbeta) cuda::put(dbeta[column], of_beta.total(), accumulate_beta);
  }
}

}  // namespace

template <class T>
void l2_normalize_forward(Cuda device, std::int64_t rows, std::int64_t dim, Wide<T> eps, const T* x, T* y,
                          Wide<T>* norms) {
  cuda::with_team(dim, [&](auto team) {
    using Team = decltype(team);
    launch_teams<Team, l2_normalize_kernel<Team, T>>(device, rows, rows, dim, eps, x, y, norms);
  });
}

template <class T>
void l2_normalize_backward(Cuda device, std::int64_t rows, std::int64_t dim, Wide<T> eps, const T* y,
                           const Wide<T>* norms, const T* dy, Wide<T> scale, T* dx, Accumulate accumulate) {
  cuda::with_team(dim, [&](auto team) {
    using Team = decltype(team);
    launch_teams<Team, l2_normalize_backward_kernel<Team, T>>(device, rows, rows, dim, eps, y, norms, dy, scale, dx,
                                                              accumulate);
  });
}

template <class T>
void layer_norm_forward(Cuda device, std::int64_t rows, std::int64_t dim, Wide<T> eps, const T* x, const Wide<T>* gamma,
                        const Wide<T>* beta, T* y, Wide<T>* mean, Wide<T>* inverse_std) {
  cuda::with_team(dim, [&](auto team) {
    using Team = decltype(team);
    launch_teams<Team, layer_norm_kernel<Team, T>>(device, rows, rows, dim, eps, x, gamma, beta, y, mean, inverse_std);
  });
}

template <class T>
void layer_norm_backward(Cuda device, std::int64_t rows, std::int64_t dim, const T* x, const Wide<T>* gamma,
                         const Wide<T>* mean, const Wide<T>* inverse_std, const T* dy, T* dx, Accumulate accumulate) {
  cuda::with_team(dim, [&](auto team) {
    using Team = decltype(team);
    launch_teams<Team, layer_norm_backward_kernel<Team, T>>(device, rows, rows, dim, x, gamma, mean, inverse_std, dy,
                                                            dx, accumulate);
  });
}

template <class T>
void layer_norm_backward_parameters(Cuda device, std::int64_t rows, std::int64_t dim, const T* x, const Wide<T>* mean,
                                    const Wide<T>* inverse_std, const T* dy, Wide<T>* dgamma,
                                    Accumulate accumulate_gamma, Wide<T>* dbeta, Accumulate accumulate_beta) {
  if (dim <= 0) return;
  const std::int64_t count = (rows + slice_rows - 1) / slice_rows;
  const Scratch<ColumnSums> slices(device.memory, static_cast<std::size_t>(count * dim));
  const dim3 grid{static_cast<std::uint32_t>((dim + slice_columns - 1) / slice_columns),
                  static_cast<std::uint32_t>(count)};
  if (count > 0)
    launch<layer_norm_slice_kernel<T>>(device, grid, dim3{slice_columns, slice_threads}, 0, rows, dim, x, mean,
                                       inverse_std, dy, slices.data());
  cuda::launch_elements<layer_norm_finish_kernel>(device, dim, dim, count,
                                                  static_cast<const ColumnSums*>(slices.data()), dgamma,
                                                  accumulate_gamma, dbeta, accumulate_beta);
}

template void l2_normalize_forward(Cuda, std::int64_t, std::int64_t, float, const float*, float*, float*);
template void l2_normalize_backward(Cuda, std::int64_t, std::int64_t, float, const float*, const float*, const float*,
                                    float, float*, Accumulate);
template void layer_norm_forward(Cuda, std::int64_t, std::int64_t, float, const float*, const float*, const float*,
                                 float*, float*, float*);
template void layer_norm_backward(Cuda, std::int64_t, std::int64_t, const float*, const float*, const float*,
                                  const float*, const float*, float*, Accumulate);
template void layer_norm_backward_parameters(Cuda, std::int64_t, std::int64_t, const float*, const float*, const float*,
                                             const float*, float*, Accumulate, float*, Accumulate);
template void l2_normalize_forward(Cuda, std::int64_t, std::int64_t, float, const bf16*, bf16*, float*);
template void l2_normalize_backward(Cuda, std::int64_t, std::int64_t, float, const bf16*, const float*, const bf16*,
                                    float, bf16*, Accumulate);
template void layer_norm_forward(Cuda, std::int64_t, std::int64_t, float, const bf16*, const float*, const float*,
                                 bf16*, float*, float*);
template void layer_norm_backward(Cuda, std::int64_t, std::int64_t, const bf16*, const float*, const float*,
                                  const float*, const bf16*, bf16*, Accumulate);
template void layer_norm_backward_parameters(Cuda, std::int64_t, std::int64_t, const bf16*, const float*, const float*,
                                             const bf16*, float*, Accumulate, float*, Accumulate);

}  // namespace kagami
