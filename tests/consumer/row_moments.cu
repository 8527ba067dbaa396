// An op with a kernel of its own, two outputs, and state that its gradient needs: the standardised rows.
#include <cmath>

#include "engine/autograd.h"
#include "engine/dispatch.h"
#include "kernels/cpu/parallel.h"
#include "own_ops.h"

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

}  // namespace

RowMoments row_moments(const Tensor& x) {
  kagami::check(x.rank() == 2, "row_moments: x must be [rows, columns], not ", kagami::describe(x));
  const std::int64_t rows = x.shape(0), columns = x.shape(1);
  const Tensor mean = Tensor::empty({rows}, x.dtype(), x.device());
  const Tensor deviation = Tensor::empty({rows}, x.dtype(), x.device());
  const Tensor standardised = Tensor::empty(x.shape(), x.dtype(), x.device());
  kagami::dispatch("row_moments", x, [&](Cpu device, auto zero) {
    using T = decltype(zero);
    moments_forward(device, rows, columns, x.data<T>(), mean.data<T>(), deviation.data<T>(), standardised.data<T>());
  });
  const auto backward = [=](const std::vector<Tensor>& dys, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target target = d.target(0);
    kagami::dispatch("row_moments", standardised, [&](Cpu device, auto zero) {
      using T = decltype(zero);
      moments_backward<T>(device, rows, columns, dys[0] ? dys[0].data<T>() : nullptr,
                          dys[1] ? dys[1].data<T>() : nullptr, standardised.data<T>(), target.tensor.data<T>(),
                          target.accumulate);
    });
  };
  const std::vector<Tensor> outputs = kagami::record("row_moments", {x}, {mean, deviation}, backward);
  return {outputs[0], outputs[1]};
}
