// A thread makes the values of one pixel, of one channel or a few: of the output going forward, of the input's gradient
// going back, where it reads the windows that cover its pixel in order.
#include "kernels/pool.h"

#include <type_traits>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/pool_window.h"

namespace kagami {
namespace {

using cuda::element_step;
using cuda::first_element;
using cuda::launch_elements;
using cuda::pack_at;
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

/// `shape.c` and `total` count packs of N channels.
template <class T, int N>
__global__ void max_pool_kernel(PoolShape shape, std::int64_t total, const T* x, T* y, std::uint8_t* winner) {
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const Pixel out = pixel_of(at, shape.out_h(), shape.out_w(), shape.c);
    const PoolWindow window = pool_window(shape, out.row, out.column);
    float best[N];
    cuda::Pack<std::uint8_t, N> taps;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      best[k] = -INFINITY;
      taps[k] = 0;
    }
    for (int i = window.first_row; i < window.last_row; ++i) {
      const std::int64_t line = (out.image * shape.h + window.top + i) * shape.w + window.left;
      for (int j = window.first_column; j < window.last_column; ++j) {
        const cuda::Pack<T, N> values = pack_at<N>(x + ((line + j) * shape.c + out.channel) * N);
        const auto tap = static_cast<std::uint8_t>(i * shape.kernel + j);
#pragma unroll
        for (int k = 0; k < N; ++k) {
          const auto value = static_cast<float>(values[k]);
          const bool wins = value > best[k] || value != value;
          best[k] = wins ? value : best[k];
          taps[k] = wins ? tap : taps[k];
        }
      }
    }
    cuda::Pack<T, N> largest;
#pragma unroll
    for (int k = 0; k < N; ++k) largest[k] = T(best[k]);
    pack_at<N>(y + at * N) = largest;
    if (winner) pack_at<N>(winner + at * N) = taps;
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

template <class T, int N>
__global__ void max_pool_backward_kernel(PoolShape shape, std::int64_t total, const T* dy, const std::uint8_t* winner,
                                         T* dx, Accumulate accumulate) {
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const Pixel in = pixel_of(at, shape.h, shape.w, shape.c);
    const int out_h = shape.out_h(), out_w = shape.out_w();
    const Covering rows = windows_over(in.row, shape, out_h), columns = windows_over(in.column, shape, out_w);
    cuda::Pack<T, N>& target = pack_at<N>(dx + at * N);
    float sum[N] = {};
    if (accumulate == Accumulate::yes) {
      const cuda::Pack<T, N> before = target;
#pragma unroll
      for (int k = 0; k < N; ++k) sum[k] = static_cast<float>(before[k]);
    }
    for (int p = rows.first; p < rows.last; ++p)
      for (int q = columns.first; q < columns.last; ++q) {
        const int tap =
            (in.row + shape.pad - p * shape.stride) * shape.kernel + in.column + shape.pad - q * shape.stride;
        const std::int64_t from = (((in.image * out_h + p) * out_w + q) * shape.c + in.channel) * N;
        const cuda::Pack<std::uint8_t, N> won = pack_at<N>(winner + from);
        const cuda::Pack<T, N> slopes = pack_at<N>(dy + from);
#pragma unroll
        for (int k = 0; k < N; ++k)
          if (won[k] == tap) sum[k] += static_cast<float>(slopes[k]);
      }
    cuda::Pack<T, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k) result[k] = T(sum[k]);
    target = result;
  }
}

/// `c` and `total` count packs of N channels.
template <class T, int N>
__global__ void global_avg_pool_kernel(std::int64_t total, int pixels, int c, const T* x, T* y) {
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const cuda::Place place = place_of(at, c);
    const T* image = x + (place.row * pixels * c + place.column) * N;
    cuda::CompensatedSum sum[N];
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
      const cuda::Pack<T, N> values = pack_at<N>(image + pixel * c * N);
#pragma unroll
      for (int k = 0; k < N; ++k) sum[k].add(static_cast<float>(values[k]));
    }
    cuda::Pack<T, N> means;
#pragma unroll
    for (int k = 0; k < N; ++k) means[k] = T(sum[k].total() * (1.0F / static_cast<float>(pixels)));
    pack_at<N>(y + at * N) = means;
  }
}

template <class T, int N>
__global__ void global_avg_pool_backward_kernel(std::int64_t total, int pixels, int c, const T* dy, T* dx,
                                                Accumulate accumulate) {
  const float scale = 1.0F / static_cast<float>(pixels);
  for (std::int64_t at = first_element(); at < total; at += element_step()) {
    const cuda::Place place = place_of(at, c);
    const std::int64_t image = place_of(place.row, pixels).row;
    const cuda::Pack<T, N> slopes = pack_at<N>(dy + (image * c + place.column) * N);
    cuda::Pack<T, N> result;
    if (accumulate == Accumulate::yes) result = pack_at<N>(dx + at * N);
#pragma unroll
    for (int k = 0; k < N; ++k) cuda::put(result[k], scale * static_cast<float>(slopes[k]), accumulate);
    pack_at<N>(dx + at * N) = result;
  }
}

/// Calls f(number of channels a thread takes at once, as a type): 4 where the channels and all addresses allow it.
template <class F, class... T>
void with_pack(int channels, F&& f, const T*... memory) {
  constexpr int many = 4;
  if (channels % many == 0 && (cuda::on_boundary(memory, many) && ...)) return f(std::integral_constant<int, many>());
  f(std::integral_constant<int, 1>());
}

/// The shape with packs of N for channels.
PoolShape in_packs(PoolShape shape, int n) {
  shape.c /= n;
  return shape;
}

}  // namespace

template <class T>
void max_pool_forward(Cuda device, const PoolShape& shape, const T* x, T* y, std::uint8_t* winner) {
  with_pack(
      shape.c,
      [&](auto n) {
        const std::int64_t total = std::int64_t{shape.n} * shape.out_h() * shape.out_w() * (shape.c / n());
        launch_elements<max_pool_kernel<T, n()>>(device, total, in_packs(shape, n()), total, x, y, winner);
      },
      x, y, winner);
}

template <class T>
void max_pool_backward(Cuda device, const PoolShape& shape, const T* dy, const std::uint8_t* winner, T* dx,
                       Accumulate accumulate) {
  with_pack(
      shape.c,
      [&](auto n) {
        const std::int64_t total = std::int64_t{shape.n} * shape.h * shape.w * (shape.c / n());
        launch_elements<max_pool_backward_kernel<T, n()>>(device, total, in_packs(shape, n()), total, dy, winner, dx,
                                                          accumulate);
      },
      dy, winner, dx);
}

template <class T>
void global_avg_pool_forward(Cuda device, int n, int pixels, int c, const T* x, T* y) {
  with_pack(
      c,
      [&](auto width) {
        const std::int64_t total = std::int64_t{n} * (c / width());
        launch_elements<global_avg_pool_kernel<T, width()>>(device, total, total, pixels, c / width(), x, y);
      },
      x, y);
}

template <class T>
void global_avg_pool_backward(Cuda device, int n, int pixels, int c, const T* dy, T* dx, Accumulate accumulate) {
  with_pack(
      c,
      [&](auto width) {
        const std::int64_t total = std::int64_t{n} * pixels * (c / width());
        launch_elements<global_avg_pool_backward_kernel<T, width()>>(device, total, total, pixels, c / width(), dy, dx,
                                                                     accumulate);
      },
      dy, dx);
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
