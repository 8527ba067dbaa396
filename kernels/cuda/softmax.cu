// A row is worked on by a warp or a block; rows side by side by a thread each.
#include "kernels/softmax.h"

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/softmax_formula.h"

namespace kagami {
namespace {

using cuda::launch_teams;
using cuda::place_of;
using cuda::team_row;
using cuda::team_sum;

/// Where a row of [outer, count, inner] begins.
__device__ std::int64_t row_start(const SoftmaxShape& shape, std::int64_t row) {
  const cuda::Place at = place_of(row, shape.inner);
  return at.row * shape.count * shape.inner + at.column;
}

/// Calls f(team): rows that interleave are a thread's each, so that neighbouring threads read neighbours.
template <class F>
void with_team_for(const SoftmaxShape& shape, F&& f) {
  if (shape.inner > 1) return f(cuda::OneThread{});
  cuda::with_team(shape.count, f);
}

/// What a row's values are shifted by, and what finishes them.
struct RowFinish {
  float largest, finish;
};

/// y of one row; the whole team takes part.
template <class Team, class T, class Y>
__device__ RowFinish softmax_row(std::int64_t count, std::int64_t step, bool logarithm, const T* x, Y* y) {
  float largest = -INFINITY;
  for (std::int64_t a = Team::rank(); a < count; a += Team::size)
    largest = cuda::Larger{}(largest, static_cast<float>(x[a * step]));
  largest = Team::reduce(largest, cuda::Larger{});
  const float sum =
      team_sum<Team>(count, [&](std::int64_t a) { return std::exp(static_cast<float>(x[a * step]) - largest); });
  const auto finish = softmax_finish<float>(logarithm, sum);
  for (std::int64_t a = Team::rank(); a < count; a += Team::size) {
    const float shifted = static_cast<float>(x[a * step]) - largest;
    y[a * step] = Y(logarithm ? shifted - finish : std::exp(shifted) * finish);
  }
  return {largest, finish};
}

template <class Team, class T>
__global__ void softmax_kernel(SoftmaxShape shape, bool logarithm, const T* x, T* y) {
  const std::int64_t row = team_row<Team>();
  if (row >= shape.outer * shape.inner) return;
  const std::int64_t start = row_start(shape, row);
  softmax_row<Team>(shape.count, shape.inner, logarithm, x + start, y + start);
}

template <class Team, class T>
__global__ void softmax_backward_kernel(SoftmaxShape shape, bool logarithm, const T* y, const T* dy, T* dx,
                                        Accumulate accumulate) {
  const std::int64_t row = team_row<Team>();
  if (row >= shape.outer * shape.inner) return;
  const std::int64_t start = row_start(shape, row);
  const float sum = team_sum<Team>(shape.count, [&](std::int64_t a) {
    const std::int64_t at = start + a * shape.inner;
    return softmax_slope(logarithm, static_cast<float>(y[at]), static_cast<float>(dy[at]));
  });
  for (std::int64_t a = Team::rank(); a < shape.count; a += Team::size) {
    const std::int64_t at = start + a * shape.inner;
    cuda::put(dx[at], softmax_gradient(logarithm, static_cast<float>(y[at]), static_cast<float>(dy[at]), sum),
              accumulate);
  }
}

template <class Team, class T>
__global__ void cross_entropy_kernel(std::int64_t rows, std::int64_t classes, const T* logits,
                                     const std::int32_t* labels, float* log_probabilities, float* losses) {
  const std::int64_t row = team_row<Team>();
  if (row >= rows) return;
  logits += row * classes;
  const RowFinish of_row = softmax_row<Team>(classes, 1, true, logits, log_probabilities + row * classes);
  if (Team::rank() != 0) return;
  const std::int32_t label = labels[row];
  losses[row] = label < 0 ? 0.0F : of_row.finish - (static_cast<float>(logits[label]) - of_row.largest);
}

template <class T>
__global__ void cross_entropy_backward_kernel(std::int64_t total, std::int64_t classes, const float* log_probabilities,
                                              const std::int32_t* labels, const float* dloss, const std::int32_t* count,
                                              T* dlogits, Accumulate accumulate) {
  const float scale = *dloss / static_cast<float>(*count);
  for (std::int64_t i = cuda::first_element(); i < total; i += cuda::element_step()) {
    const cuda::Place at = place_of(i, classes);
    const std::int32_t label = labels[at.row];
    cuda::put(dlogits[i], label < 0 ? 0.0F : cross_entropy_gradient(scale, log_probabilities[i], at.column == label),
              accumulate);
  }
}

}  // namespace

template <class T>
void softmax_forward(Cuda device, const SoftmaxShape& shape, bool logarithm, const T* x, T* y) {
  with_team_for(shape, [&](auto team) {
    using Team = decltype(team);
    launch_teams<Team, softmax_kernel<Team, T>>(device, shape.outer * shape.inner, shape, logarithm, x, y);
  });
}

template <class T>
void softmax_backward(Cuda device, const SoftmaxShape& shape, bool logarithm, const T* y, const T* dy, T* dx,
                      Accumulate accumulate) {
  with_team_for(shape, [&](auto team) {
    using Team = decltype(team);
    launch_teams<Team, softmax_backward_kernel<Team, T>>(device, shape.outer * shape.inner, shape, logarithm, y, dy, dx,
                                                         accumulate);
  });
}

template <class T>
void cross_entropy_forward(Cuda device, std::int64_t rows, std::int64_t classes, const T* logits,
                           const std::int32_t* labels, Wide<T>* log_probabilities, Wide<T>* losses) {
  cuda::with_team(classes, [&](auto team) {
    using Team = decltype(team);
    launch_teams<Team, cross_entropy_kernel<Team, T>>(device, rows, rows, classes, logits, labels, log_probabilities,
                                                      losses);
  });
}

template <class T>
void cross_entropy_backward(Cuda device, std::int64_t rows, std::int64_t classes, const Wide<T>* log_probabilities,
                            const std::int32_t* labels, const Wide<T>* dloss, const std::int32_t* count, T* dlogits,
                            Accumulate accumulate) {
  cuda::launch_elements<cross_entropy_backward_kernel<T>>(device, rows * classes, rows * classes, classes,
                                                          log_probabilities, labels, dloss, count, dlogits, accumulate);
}

template void softmax_forward(Cuda, const SoftmaxShape&, bool, const float*, float*);
template void softmax_backward(Cuda, const SoftmaxShape&, bool, const float*, const float*, float*, Accumulate);
template void cross_entropy_forward(Cuda, std::int64_t, std::int64_t, const float*, const std::int32_t*, float*,
                                    float*);
template void cross_entropy_backward(Cuda, std::int64_t, std::int64_t, const float*, const std::int32_t*, const float*,
                                     const std::int32_t*, float*, Accumulate);
template void softmax_forward(Cuda, const SoftmaxShape&, bool, const bf16*, bf16*);
template void softmax_backward(Cuda, const SoftmaxShape&, bool, const bf16*, const bf16*, bf16*, Accumulate);
template void cross_entropy_forward(Cuda, std::int64_t, std::int64_t, const bf16*, const std::int32_t*, float*, float*);
template void cross_entropy_backward(Cuda, std::int64_t, std::int64_t, const float*, const std::int32_t*, const float*,
                                     const std::int32_t*, bf16*, Accumulate);

}  // namespace kagami
