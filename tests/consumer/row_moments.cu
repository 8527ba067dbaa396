// An op with kernels of its own, two outputs, and state that its gradient needs: the standardised rows. The kernels are
// overloads for a Cpu and, where Kagami was built with CUDA (by nvcc, or emulated), for a Cuda.
#include <cmath>

#include "engine/autograd.h"
#include "engine/dispatch.h"
#include "kernels/cpu/parallel.h"
#include "own_ops.h"
#if KAGAMI_HAS_CUDA
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce.cuh"
#endif

namespace {

using kagami::Accumulate;
using kagami::Cpu;
using kagami::Gradients;
using kagami::Tensor;

template <class T>
void moments_forward(Cpu, std::int64_t rows, std::int64_t columns, const T* x, T* mean, T* deviation, T* standardised) {
  kagami::cpu::parallel_for(rows, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const T* row = x + r * columns;
      T sum = 0, squares = 0;
      for (std::int64_t c = 0; c < columns; ++c) sum += row[c];
      mean[r] = sum / T(columns);
      for (std::int64_t c = 0; c < columns; ++c) squares += (row[c] - mean[r]) * (row[c] - mean[r]);
      deviation[r] = std::sqrt(squares / T(columns));
      for (std::int64_t c = 0; c < columns; ++c) standardised[r * columns + c] = (row[c] - mean[r]) / deviation[r];
    }
  });
}

/// dx = (dmean + ddeviation * standardised) / columns; a null pointer is a gradient of zero.
template <class T>
void moments_backward(Cpu, std::int64_t rows, std::int64_t columns, const T* dmean, const T* ddeviation,
                      const T* standardised, T* dx, Accumulate accumulate) {
  kagami::cpu::parallel_for(rows, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r)
      for (std::int64_t i = r * columns; i < (r + 1) * columns; ++i) {
        const T g = ((dmean ? dmean[r] : T(0)) + (ddeviation ? ddeviation[r] * standardised[i] : T(0))) / T(columns);
        dx[i] = accumulate == Accumulate::yes ? dx[i] + g : g;
      }
  });
}

#if KAGAMI_HAS_CUDA
using Team = kagami::cuda::OneWarp;  // of a row

template <class T>
__global__ void moments_kernel(std::int64_t rows, std::int64_t columns, const T* x, T* mean, T* deviation,
                               T* standardised) {
  const std::int64_t row = kagami::cuda::team_row<Team>();
  if (row >= rows) return;
  const auto value = [&](std::int64_t c) { return static_cast<float>(x[row * columns + c]); };
  const auto count = static_cast<float>(columns);
  const float centre = kagami::cuda::team_sum<Team>(columns, value) / count;
  const float width = std::sqrt(kagami::cuda::team_sum<Team>(columns,
                                                             [&](std::int64_t c) {
                                                               const float apart = value(c) - centre;
                                                               return apart * apart;
                                                             }) /
                                count);
  if (Team::rank() == 0) {
    mean[row] = T(centre);
    deviation[row] = T(width);
  }
  for (std::int64_t c = Team::rank(); c < columns; c += Team::size)
    standardised[row * columns + c] = T((value(c) - centre) / width);
}

template <class T>
__global__ void moments_backward_kernel(std::int64_t rows, std::int64_t columns, const T* dmean, const T* ddeviation,
                                        const T* standardised, T* dx, Accumulate accumulate) {
  for (std::int64_t i = kagami::cuda::first_element(); i < rows * columns; i += kagami::cuda::element_step()) {
    const std::int64_t row = i / columns;
    float g = dmean ? static_cast<float>(dmean[row]) : 0.0F;
    if (ddeviation) g += static_cast<float>(ddeviation[row]) * static_cast<float>(standardised[i]);
    kagami::cuda::put(dx[i], g / static_cast<float>(columns), accumulate);
  }
}

template <class T>
void moments_forward(kagami::Cuda device, std::int64_t rows, std::int64_t columns, const T* x, T* mean, T* deviation,
                     T* standardised) {
  kagami::cuda::launch_teams<Team, moments_kernel<T>>(device, rows, rows, columns, x, mean, deviation, standardised);
}

template <class T>
void moments_backward(kagami::Cuda device, std::int64_t rows, std::int64_t columns, const T* dmean, const T* ddeviation,
                      const T* standardised, T* dx, Accumulate accumulate) {
  kagami::cuda::launch_elements<moments_backward_kernel<T>>(device, rows * columns, rows, columns, dmean, ddeviation,
                                                            standardised, dx, accumulate);
}
#endif

}  // namespace

RowMoments row_moments(const Tensor& x) {
  kagami::check(x.rank() == 2, "row_moments: x must be [rows, columns], not ", kagami::describe(x));
  const std::int64_t rows = x.shape(0), columns = x.shape(1);
  const Tensor mean = Tensor::empty({rows}, x.dtype(), x.device());
  const Tensor deviation = Tensor::empty({rows}, x.dtype(), x.device());
  const Tensor standardised = Tensor::empty(x.shape(), x.dtype(), x.device());
  kagami::dispatch("row_moments", x, [&](auto device, auto zero) {
    using T = decltype(zero);
    moments_forward(device, rows, columns, x.data<T>(), mean.data<T>(), deviation.data<T>(), standardised.data<T>());
  });
  const auto backward = [=](const std::vector<Tensor>& dys, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target target = d.target(0);
    kagami::dispatch("row_moments", standardised, [&](auto device, auto zero) {
      using T = decltype(zero);
      moments_backward<T>(device, rows, columns, dys[0] ? dys[0].data<T>() : nullptr,
                          dys[1] ? dys[1].data<T>() : nullptr, standardised.data<T>(), target.tensor.data<T>(),
                          target.accumulate);
    });
  };
  const std::vector<Tensor> outputs = kagami::record("row_moments", {x}, {mean, deviation}, backward);
  return {outputs[0], outputs[1]};
}
