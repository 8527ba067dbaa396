// A thread makes one value: of the output going forward, of the input's gradient going back, where it reads the windows
// that cover its pixel in order.
#include "kernels/pool.h"

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/pool_window.h"

namespace kagami {
namespace {

using cuda::element_step;
using cuda::first_element;
using cuda::launch_elements;
using cuda::place_of;

/// Where a value of NHWC images lies.
struct Pixel {
  std::int64_t image;
  int row, column;
  std::int64_t channel;
};
__device__ Pixel pixel_of(std::int64_t index, int h, int w, int c) {
  const cuda::Place channel = place_of(index, c), column = place_of(channel.row, w), row = place_of(column.row, h);
  return {row.row, static_cast<int>(row.column), static_cast<int>(column.column), channel.column};
}

template <class T>
__global__ void max_pool_kernel(PoolShape shape, std::int64_t total, const T* x, T* y, std::uint8_t* winner) {
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const Pixel out = pixel_of(at, shape.out_h(), shape.out_w(), shape.c);
    const PoolWindow window = pool_window(shape, out.row, out.column);
    float best = -INFINITY;
    int tap = 0;
    for (int i = window.first_row; i < window.last_row; ++i) {
      const std::int64_t line = (out.image * shape.h + window.top + i) * shape.w + window.left;
      for (int j = window.first_column; j < window.last_column; ++j) {
        const auto value = static_cast<float>(x[(line + j) * shape.c + out.channel]);
        const bool wins = value > best || value != value;
        best = wins ? value : best;
        tap = wins ? i * shape.kernel + j : tap;
      }
    }
    y[at] = T(best);
    if (winner) winner[at] = static_cast<std::uint8_t>(tap);
  }
}

/// The windows along one axis that cover a pixel: [first, last).
struct Covering {
  int first, last;
};
__device__ Covering windows_over(int position, const PoolShape& shape, int count) {
  const int reach = position + shape.pad;  // in the padded image
  const int first = reach < shape.kernel ? 0 : (reach - shape.kernel) / shape.stride + 1;
  const int last = reach / shape.stride + 1;
  return {first, last < count ? last : count};
}

template <class T>
__global__ void max_pool_backward_kernel(PoolShape shape, std::int64_t total, const T* dy, const std::uint8_t* winner,
                                         T* dx, Accumulate accumulate) {
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const Pixel in = pixel_of(at, shape.h, shape.w, shape.c);
    const int out_h = shape.out_h(), out_w = shape.out_w();
    const Covering rows = windows_over(in.row, shape, out_h), columns = windows_over(in.column, shape, out_w);
    float sum = accumulate == Accumulate::yes ? static_cast<float>(dx[at]) : 0.0F;
    for (int p = rows.first; p < rows.last; ++p)
      for (int q = columns.first; q < columns.last; ++q) {
        const int tap =
            (in.row + shape.pad - p * shape.stride) * shape.kernel + in.column + shape.pad - q * shape.stride;
        const std::int64_t from = ((in.image * out_h + p) * out_w + q) * shape.c + in.channel;
        if (winner[from] == tap) sum += static_cast<float>(dy[from]);
      }
    dx[at] = T(sum);
  }
}

template <class T>
__global__ void global_avg_pool_kernel(std::int64_t total, int pixels, int c, const T* x, T* y) {
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const cuda::Place place = place_of(at, c);
    const T* image = x + place.row * pixels * c + place.column;
    cuda::CompensatedSum sum;
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) sum.add(static_cast<float>(image[pixel * c]));
    y[at] = T(sum.total() * (1.0F / static_cast<float>(pixels)));
  }
}

template <class T>
__global__ void global_avg_pool_backward_kernel(std::int64_t total, int pixels, int c, const T* dy, T* dx,
                                                Accumulate accumulate) {
  const float scale = 1.0F / static_cast<float>(pixels);
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const cuda::Place place = place_of(at, c);
    const std::int64_t image = place_of(place.row, pixels).row;
    cuda::put(dx[at], scale * static_cast<float>(dy[image * c + place.column]), accumulate);
  }
}

}  // namespace

template <class T>
void max_pool_forward(Cuda device, const PoolShape& shape, const T* x, T* y, std::uint8_t* winner) {
  const std::int64_t total = std::int64_t{shape.n} * shape.out_h() * shape.out_w() * shape.c;
  launch_elements<max_pool_kernel<T>>(device, total, shape, total, x, y, winner);
}

template <class T>
void max_pool_backward(Cuda device, const PoolShape& shape, const T* dy, const std::uint8_t* winner, T* dx,
                       Accumulate accumulate) {
  const std::int64_t total = std::int64_t{shape.n} * shape.h * shape.w * shape.c;
  launch_elements<max_pool_backward_kernel<T>>(device, total, shape, total, dy, winner, dx, accumulate);
}

template <class T>
void global_avg_pool_forward(Cuda device, int n, int pixels, int c, const T* x, T* y) {
  const std::int64_t total = std::int64_t{n} * c;
  launch_elements<global_avg_pool_kernel<T>>(device, total, total, pixels, c, x, y);
}

template <class T>
void global_avg_pool_backward(Cuda device, int n, int pixels, int c, const T* dy, T* dx, Accumulate accumulate) {
  const std::int64_t total = std::int64_t{n} * pixels * c;
  launch_elements<global_avg_pool_backward_kernel<T>>(device, total, total, pixels, c, dy, dx, accumulate);
}

template void max_pool_forward(Cuda, const PoolShape&, const float*, float*, std::uint8_t*);
template void max_pool_backward(Cuda, const PoolShape&, const float*, const std::uint8_t*, float*, Accumulate);
template void global_avg_pool_forward(Cuda, int, int, int, const float*, float*);
template void global_avg_pool_backward(Cuda, int, int, int, const float*, float*, Accumulate);
template void max_pool_forward(Cuda, const PoolShape&, const bf16*, bf16*, std::uint8_t*);
template void max_pool_backward(Cuda, const PoolShape&, const bf16*, const std::uint8_t*, bf16*, Accumulate);
template void global_avg_pool_forward(Cuda, int, int, int, const bf16*, bf16*);
template void global_avg_pool_backward(Cuda, int, int, int, const bf16*, bf16*, Accumulate);

}  // namespace kagami
