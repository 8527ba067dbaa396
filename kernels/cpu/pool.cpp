#include "kernels/pool.h"

#include <algorithm>
#include <limits>

#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pool_kernels.h"
#include "kernels/pool_window.h"

namespace kagami {
namespace {

template <class T>
const cpu::PoolKernels<T>& kernels();
template <>
const cpu::PoolKernels<float>& kernels() {
  return cpu::select(cpu::baseline::pool_float, cpu::avx2::pool_float, cpu::avx512::pool_float);
}
template <>
const cpu::PoolKernels<double>& kernels() {
  return cpu::select(cpu::baseline::pool_double, cpu::avx2::pool_double, cpu::avx512::pool_double);
}

/// Calls f(offset of the input pixel, tap) for the pixels of the window at (p, q) that lie inside the image.
template <class F>
void for_window(const PoolShape& shape, int p, int q, F f) {
  const PoolWindow window = pool_window(shape, p, q);
  for (int i = window.first_row; i < window.last_row; ++i)
    for (int j = window.first_column; j < window.last_column; ++j)
      f((std::int64_t{window.top + i} * shape.w + window.left + j) * shape.c,
        static_cast<std::uint8_t>(i * shape.kernel + j));
}

}  // namespace

template <class T>
void max_pool_forward(Cpu device, const PoolShape& shape, const T* x, T* y, std::uint8_t* winner) {
  const std::int64_t out_h = shape.out_h(), out_w = shape.out_w(), c = shape.c;
  cpu::parallel_for(shape.n * out_h, 4, [&](std::int64_t first, std::int64_t last) {
    const Scratch<std::uint8_t> spare(device.memory, winner ? 0 : static_cast<std::size_t>(c));
    for (std::int64_t row = first; row < last; ++row) {
      const T* image = x + row / out_h * shape.h * shape.w * c;
      for (int q = 0; q < out_w; ++q) {
        const std::int64_t at = (row * out_w + q) * c;
        std::uint8_t* won = winner ? winner + at : spare.data();
        std::fill_n(y + at, c, -std::numeric_limits<T>::infinity());
        std::fill_n(won, c, std::uint8_t{0});
        for_window(shape, static_cast<int>(row % out_h), q, [&](std::int64_t pixel, std::uint8_t tap) {
          kernels<T>().keep_maximum(image + pixel, shape.c, tap, y + at, won);
        });
      }
    }
  });
}

template <class T>
void max_pool_backward(Cpu, const PoolShape& shape, const T* dy, const std::uint8_t* winner, T* dx,
                       Accumulate accumulate) {
  const std::int64_t out_w = shape.out_w(), out_pixels = shape.out_h() * out_w, c = shape.c;
  const std::int64_t image_size = std::int64_t{shape.h} * shape.w * c;
  // Windows overlap: an image is one piece of work, its sums are in the order of the windows.
  cpu::parallel_for(shape.n, 1, [&](std::int64_t image, std::int64_t) {
    T* to = dx + image * image_size;
    if (accumulate == Accumulate::no) std::fill_n(to, image_size, T(0));
    for (std::int64_t pixel = 0; pixel < out_pixels; ++pixel) {
      const std::int64_t at = (image * out_pixels + pixel) * c;
      for_window(shape, static_cast<int>(pixel / out_w), static_cast<int>(pixel % out_w),
                 [&](std::int64_t from, std::uint8_t tap) {
                   kernels<T>().add_where(dy + at, winner + at, tap, shape.c, to + from);
                 });
    }
  });
}

template <class T>
void global_avg_pool_forward(Cpu, int n, int pixels, int c, const T* x, T* y) {
  cpu::parallel_for(n, 8, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      kernels<T>().sum_rows(x + i * pixels * c, pixels, c, T(1) / static_cast<T>(pixels), y + i * c);
  });
}

template <class T>
void global_avg_pool_backward(Cpu, int n, int pixels, int c, const T* dy, T* dx, Accumulate accumulate) {
  cpu::parallel_for(n, 8, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      kernels<T>().spread_rows(dy + i * c, pixels, c, T(1) / static_cast<T>(pixels), accumulate, dx + i * pixels * c);
  });
}

template void max_pool_forward(Cpu, const PoolShape&, const float*, float*, std::uint8_t*);
template void max_pool_forward(Cpu, const PoolShape&, const double*, double*, std::uint8_t*);
template void max_pool_backward(Cpu, const PoolShape&, const float*, const std::uint8_t*, float*, Accumulate);
template void max_pool_backward(Cpu, const PoolShape&, const double*, const std::uint8_t*, double*, Accumulate);
template void global_avg_pool_forward(Cpu, int, int, int, const float*, float*);
template void global_avg_pool_forward(Cpu, int, int, int, const double*, double*);
template void global_avg_pool_backward(Cpu, int, int, int, const float*, float*, Accumulate);
template void global_avg_pool_backward(Cpu, int, int, int, const double*, double*, Accumulate);

}  // namespace kagami
