#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/parallel.h"
#include "kernels/softmax_formula.h"

namespace kagami {
namespace {

constexpr std::int64_t tile = 16;        // neighbouring rows of [outer, count, inner] that are walked together
constexpr std::int64_t grain = 1 << 12;  // elements of a piece of work

/// Calls f(offset of the first value, width) for every `tile` rows side by side; values of a row are `inner` apart.
template <class F>
void for_each_tile(const SoftmaxShape& shape, F&& f) {
  const std::int64_t tiles = (shape.inner + tile - 1) / tile;
  const std::int64_t width = std::min(tile, shape.inner);
  cpu::parallel_for(shape.outer * tiles, 1 + grain / (shape.count * width + 1),
                    [&](std::int64_t first, std::int64_t last) {
                      for (std::int64_t job = first; job < last; ++job) {
                        const std::int64_t o = job / tiles, i = job % tiles * tile;
                        f(o * shape.count * shape.inner + i, std::min(tile, shape.inner - i));
                      }
                    });
}

/// Calls f(index of the value in memory, row of the tile) for all values of a tile.
template <class F>
void for_each_value(const SoftmaxShape& shape, std::int64_t offset, std::int64_t width, F&& f) {
  for (std::int64_t a = 0; a < shape.count; ++a)
    for (std::int64_t i = 0; i < width; ++i) f(offset + a * shape.inner + i, i);
}

}  // namespace

template <class T>
void softmax_forward(Cpu, const SoftmaxShape& shape, bool logarithm, const T* x, T* y) {
  for_each_tile(shape, [&](std::int64_t offset, std::int64_t width) {
    T largest[tile];
    double sum[tile] = {};
    std::fill_n(largest, tile, -std::numeric_limits<T>::infinity());
    for_each_value(shape, offset, width,
                   [&](std::int64_t at, std::int64_t i) { largest[i] = x[at] > largest[i] ? x[at] : largest[i]; });
    for_each_value(shape, offset, width, [&](std::int64_t at, std::int64_t i) {
      y[at] = std::exp(x[at] - largest[i]);
      sum[i] += static_cast<double>(y[at]);
    });
    T finish[tile];
    for (std::int64_t i = 0; i < width; ++i) finish[i] = softmax_finish<T>(logarithm, sum[i]);
    for_each_value(shape, offset, width, [&](std::int64_t at, std::int64_t i) {
      y[at] = logarithm ? (x[at] - largest[i]) - finish[i] : y[at] * finish[i];
    });
  });
}

template <class T>
void softmax_backward(Cpu, const SoftmaxShape& shape, bool logarithm, const T* y, const T* dy, T* dx,
                      Accumulate accumulate) {
  for_each_tile(shape, [&](std::int64_t offset, std::int64_t width) {
    double sum[tile] = {};
    for_each_value(shape, offset, width, [&](std::int64_t at, std::int64_t i) {
      sum[i] += static_cast<double>(softmax_slope(logarithm, y[at], dy[at]));
    });
    for_each_value(shape, offset, width, [&](std::int64_t at, std::int64_t i) {
      const T g = softmax_gradient(logarithm, y[at], dy[at], static_cast<T>(sum[i]));
      dx[at] = accumulate == Accumulate::yes ? dx[at] + g : g;
    });
  });
}

template <class T>
void cross_entropy_forward(Cpu device, std::int64_t rows, std::int64_t classes, const T* logits,
                           const std::int32_t* labels, T* log_probabilities, T* losses) {
  softmax_forward(device, {rows, classes, 1}, true, logits, log_probabilities);
  for (std::int64_t r = 0; r < rows; ++r)
    losses[r] = labels[r] < 0 ? T(0) : -log_probabilities[r * classes + labels[r]];
}

template <class T>
void cross_entropy_backward(Cpu, std::int64_t rows, std::int64_t classes, const T* log_probabilities,
                            const std::int32_t* labels, const T* dloss, const std::int32_t* count, T* dlogits,
                            Accumulate accumulate) {
  const T scale = *dloss / static_cast<T>(*count);
  cpu::parallel_for(rows, 1 + grain / (classes + 1), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r)
      for (std::int64_t c = 0; c < classes; ++c) {
        const std::int64_t at = r * classes + c;
        const T g = labels[r] < 0 ? T(0) : cross_entropy_gradient(scale, log_probabilities[at], c == labels[r]);
        dlogits[at] = accumulate == Accumulate::yes ? dlogits[at] + g : g;
      }
  });
}

template void softmax_forward(Cpu, const SoftmaxShape&, bool, const float*, float*);
template void softmax_backward(Cpu, const SoftmaxShape&, bool, const float*, const float*, float*, Accumulate);
template void cross_entropy_forward(Cpu, std::int64_t, std::int64_t, const float*, const std::int32_t*, float*, float*);
template void cross_entropy_backward(Cpu, std::int64_t, std::int64_t, const float*, const std::int32_t*, const float*,
                                     const std::int32_t*, float*, Accumulate);
template void softmax_forward(Cpu, const SoftmaxShape&, bool, const double*, double*);
template void softmax_backward(Cpu, const SoftmaxShape&, bool, const double*, const double*, double*, Accumulate);
template void cross_entropy_forward(Cpu, std::int64_t, std::int64_t, const double*, const std::int32_t*, double*,
                                    double*);
template void cross_entropy_backward(Cpu, std::int64_t, std::int64_t, const double*, const std::int32_t*, const double*,
                                     const std::int32_t*, double*, Accumulate);

}  // namespace kagami
