#include "kernels/cpu/conv_plain.h"

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/parallel.h"

namespace kagami::cpu::plain {
namespace {

/// to[i] += a from[i]: every sum below is made of these, so each element is added up in one fixed order.
void add_scaled(double* __restrict to, const double* __restrict from, double a, int count) {
  for (int i = 0; i < count; ++i) to[i] += a * from[i];
}

/// w [k,r,s,c] as [r,s,c,k].
void output_last(const Conv2dShape& shape, const double* w, double* turned) {
  const std::int64_t taps = std::int64_t{shape.r} * shape.s * shape.c;
  parallel_for(taps, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      for (int k = 0; k < shape.k; ++k) turned[i * shape.k + k] = w[k * taps + i];
  });
}

/// The taps [first, last) that an output at `out` finds inside an input of `size`, along one axis.
struct Taps {
  int first, last;
  Taps(int out, int stride, int pad, int taps, int size)
      : first(std::max(0, pad - out * stride)), last(std::min(taps, size + pad - out * stride)) {}
};

/// Calls f(in_row, i) for the outputs' row p: each input row it reads and the tap that reads it; the same for columns.
template <class F>
void rows_of(const Conv2dShape& shape, int p, F f) {
  const Taps taps(p, shape.stride, shape.pad, shape.r, shape.h);
  for (int i = taps.first; i < taps.last; ++i) f(p * shape.stride + i - shape.pad, i);
}
template <class F>
void columns_of(const Conv2dShape& shape, int q, F f) {
  const Taps taps(q, shape.stride, shape.pad, shape.s, shape.w);
  for (int j = taps.first; j < taps.last; ++j) f(q * shape.stride + j - shape.pad, j);
}

/// dx += the part that output row p gives through tap row i; dx is one row of one image.
void dgrad_row(const Conv2dShape& shape, int i, const double* dy, const double* w, double* dx) {
  const std::int64_t c = shape.c;
  for (int q = 0; q < shape.out_w(); ++q)
    columns_of(shape, q, [&](int column, int j) {
      for (int k = 0; k < shape.k; ++k)
        add_scaled(dx + column * c, w + ((std::int64_t{k} * shape.r + i) * shape.s + j) * c, dy[q * shape.k + k],
                   shape.c);
    });
}

}  // namespace

void forward(Cpu device, const Conv2dShape& shape, const double* x, const double* w, double* y, const double* bias) {
  const int out_h = shape.out_h(), out_w = shape.out_w(), k = shape.k, c = shape.c;
  const Scratch<double> turned(device.memory, std::size_t(k) * shape.r * shape.s * c);
  output_last(shape, w, turned.data());
  parallel_for(std::int64_t{shape.n} * out_h, 1, [&](std::int64_t row, std::int64_t) {
    const std::int64_t image = row / out_h;
    for (int q = 0; q < out_w; ++q) {
      double* to = y + (row * out_w + q) * k;
      for (int j = 0; j < k; ++j) to[j] = bias ? bias[j] : 0.0;
      rows_of(shape, static_cast<int>(row % out_h), [&](int in_row, int i) {
        columns_of(shape, q, [&](int in_column, int j) {
          const double* from = x + ((image * shape.h + in_row) * shape.w + in_column) * c;
          const double* tap = turned.data() + (std::int64_t{i} * shape.s + j) * c * k;
          for (int l = 0; l < c; ++l) add_scaled(to, tap + std::int64_t{l} * k, from[l], k);
        });
      });
    }
  });
}

void dgrad(const Conv2dShape& shape, const double* dy, const double* w, double* dx, Accumulate accumulate) {
  const int out_h = shape.out_h();
  const std::int64_t in_row = std::int64_t{shape.w} * shape.c, out_row = std::int64_t{shape.out_w()} * shape.k;
  parallel_for(std::int64_t{shape.n} * shape.h, 1, [&](std::int64_t row, std::int64_t) {
    double* to = dx + row * in_row;
    if (accumulate == Accumulate::no) std::fill_n(to, in_row, 0.0);
    for (int i = 0; i < shape.r; ++i) {
      const std::int64_t p = row % shape.h + shape.pad - i;
      if (p < 0 || p % shape.stride != 0 || p / shape.stride >= out_h) continue;
      dgrad_row(shape, i, dy + (row / shape.h * out_h + p / shape.stride) * out_row, w, to);
    }
  });
}

void wgrad(const Conv2dShape& shape, const double* x, const double* dy, double* dw, Accumulate accumulate) {
  const int out_h = shape.out_h(), out_w = shape.out_w(), c = shape.c;
  const std::int64_t taps = std::int64_t{shape.r} * shape.s * c;
  parallel_for(shape.k, 1, [&](std::int64_t k, std::int64_t) {
    double* to = dw + k * taps;
    if (accumulate == Accumulate::no) std::fill_n(to, taps, 0.0);
    for (std::int64_t row = 0; row < std::int64_t{shape.n} * out_h; ++row)
      rows_of(shape, static_cast<int>(row % out_h), [&](int in_row, int i) {
        for (int q = 0; q < out_w; ++q)
          columns_of(shape, q, [&](int in_column, int j) {
            const double* from = x + ((row / out_h * shape.h + in_row) * shape.w + in_column) * c;
            add_scaled(to + (std::int64_t{i} * shape.s + j) * c, from, dy[(row * out_w + q) * shape.k + k], c);
          });
      });
  });
}

}  // namespace kagami::cpu::plain
