#pragma once
// The CUDA side of elementwise.h: kernels made of an op's formula.
#if KAGAMI_HAS_CUDA
#include <algorithm>

#include "engine/broadcast.h"
#include "kernels/cuda/elements.cuh"

namespace kagami::detail {

using cuda::element_step;
using cuda::first_element;
using cuda::launch_elements;

/// A BroadcastWalk as a kernel's argument.
template <int N>
struct DeviceWalk {
  int axes = 0;
  bool dense = true;  ///< every input is read at the output's own index
  std::int64_t extent[Shape::max_rank], stride[N][Shape::max_rank];

  /// Where element i of the output is in each input.
  __device__ Vec<std::int64_t, N> offsets(std::int64_t i) const {
    Vec<std::int64_t, N> at;
    for (int k = 0; k < N; ++k) at[k] = dense ? i : 0;
    if (dense) return at;
    for (int axis = axes - 1; axis >= 0; --axis) {
      const std::int64_t index = i % extent[axis];
      i /= extent[axis];
      for (int k = 0; k < N; ++k) at[k] += index * stride[k][axis];
    }
    return at;
  }
};
template <int N>
DeviceWalk<N> device_walk(const BroadcastWalk& walk) {
  DeviceWalk<N> d;
  d.axes = static_cast<int>(walk.extent.size());
  for (int axis = 0; axis < d.axes; ++axis) {
    d.extent[axis] = walk.extent[static_cast<std::size_t>(axis)];
    for (int k = 0; k < N; ++k)
      d.stride[k][axis] = walk.strides[static_cast<std::size_t>(k)][static_cast<std::size_t>(axis)];
  }
  for (int k = 0; k < N; ++k) d.dense = d.dense && d.axes == 1 && d.stride[k][0] == 1;
  return d;
}

template <class Op, class T, int N, std::size_t... K>
__device__ T elementwise_value(const Op& op, const Vec<const T*, N>& x, const Vec<std::int64_t, N>& at,
                               std::index_sequence<K...>) {
  using W = Wide<T>;
  return T(op.template f<W>(W(x[K][at[K]])...));
}
template <class Op, class T, int N>
__global__ void elementwise_forward_kernel(Op op, DeviceWalk<N> walk, Vec<const T*, N> x, T* y, std::int64_t count) {
  for (std::int64_t i = first_element(); i < count; i += element_step())
    y[i] = elementwise_value<Op, T, N>(op, x, walk.offsets(i), std::make_index_sequence<N>{});
}

template <class Op, class T, int N, std::size_t... K>
__device__ Vec<Wide<T>, N> elementwise_slopes(const Op& op, const Vec<const T*, N>& x, const Vec<std::int64_t, N>& at,
                                              std::index_sequence<K...>) {
  using W = Wide<T>;
  return op.template df<W>(W(x[K][at[K]])...);
}
/// dx[k][i] (+)= dy[i] * df(x...)[k], or apart[k][i] = that; both null where no gradient is wanted.
template <class Op, class T, int N>
__global__ void elementwise_backward_kernel(Op op, DeviceWalk<N> walk, Vec<const T*, N> x, const T* dy, Vec<T*, N> dx,
                                            Vec<Wide<T>*, N> apart, Vec<Accumulate, N> accumulate, std::int64_t count) {
  using W = Wide<T>;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const Vec<W, N> d = elementwise_slopes<Op, T, N>(op, x, walk.offsets(i), std::make_index_sequence<N>{});
    for (int k = 0; k < N; ++k) {
      if (dx[k]) cuda::put(dx[k][i], W(dy[i]) * d[k], accumulate[k]);
      if (apart[k]) apart[k][i] = W(dy[i]) * d[k];
    }
  }
}

template <class Op, class T, std::size_t N>
void elementwise_forward(const Cuda& device, const Op& op, const BroadcastWalk& walk, const std::array<const T*, N>& x,
                         T* y) {
  Vec<const T*, N> inputs;
  std::copy(x.begin(), x.end(), inputs.v);
  launch_elements<elementwise_forward_kernel<Op, T, N>>(device, walk.count(), op, device_walk<N>(walk), inputs, y,
                                                        walk.count());
}

template <class Op, class T, std::size_t N>
void elementwise_backward(const Cuda& device, const Op& op, const BroadcastWalk& walk, const std::array<const T*, N>& x,
                          const T* dy, const std::array<T*, N>& dx, const std::array<Wide<T>*, N>& apart,
                          const std::array<Accumulate, N>& accumulate) {
  Vec<const T*, N> inputs;
  Vec<T*, N> gradients;
  Vec<Wide<T>*, N> sums;
  Vec<Accumulate, N> modes;
  std::copy(x.begin(), x.end(), inputs.v);
  std::copy(dx.begin(), dx.end(), gradients.v);
  std::copy(apart.begin(), apart.end(), sums.v);
  std::copy(accumulate.begin(), accumulate.end(), modes.v);
  launch_elements<elementwise_backward_kernel<Op, T, N>>(device, walk.count(), op, device_walk<N>(walk), inputs, dy,
                                                         gradients, sums, modes, walk.count());
}

}  // namespace kagami::detail
#endif
