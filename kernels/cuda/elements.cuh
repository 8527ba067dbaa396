#pragma once
// Kernels over a flat range of elements, one or a few a thread.
#include <algorithm>

#include "kernels/cuda/cuda.h"

namespace kagami::cuda {

constexpr int element_threads = 256;

/// A thread's first element and how far it is to its next, in a launch of launch_elements().
__device__ inline std::int64_t first_element() {
  return static_cast<std::int64_t>(blockIdx.x) * element_threads + threadIdx.x;
}
__device__ inline std::int64_t element_step() { return static_cast<std::int64_t>(gridDim.x) * element_threads; }

/// Enough blocks to fill the device, no more than there are elements for. Of no element nothing is launched.
template <auto Kernel, class... Args>
void launch_elements(const Cuda& device, std::int64_t count, Args... args) {
  if (count <= 0) return;
  constexpr std::int64_t blocks_per_multiprocessor = 16;
  const std::int64_t blocks =
      std::min((count + element_threads - 1) / element_threads, blocks_per_multiprocessor * device.multiprocessors);
  launch<Kernel>(device, dim3{static_cast<std::uint32_t>(blocks)}, dim3{element_threads}, 0, args...);
}

struct Place {
  std::int64_t row, column;
};
/// Row and column of a flat index. Division of 64-bit numbers is slow on a GPU: few tensors need it.
__device__ inline Place place_of(std::int64_t index, std::int64_t columns) {
  if (((index | columns) >> 32) == 0) {
    const auto i = static_cast<std::uint32_t>(index), n = static_cast<std::uint32_t>(columns);
    return {i / n, i % n};
  }
  return {index / columns, index % columns};
}

/// to = value, or to += value: added in Wide<T>, rounded once.
template <class T>
__device__ inline void put(T& to, Wide<T> value, Accumulate accumulate) {
  to = T(accumulate == Accumulate::yes ? static_cast<Wide<T>>(to) + value : value);
}

/// A block's work on elements [first, last): step(at, load(at)) of each. A thread loads several elements, a block
/// apart, before it steps any, so that their loads are under way together.
template <int Threads, class Load, class Step>
__device__ inline void for_block_elements(std::int64_t first, std::int64_t last, Load load, Step step) {
  constexpr int together = 4;
  for (std::int64_t begin = first + threadIdx.x; begin < last; begin += together * Threads) {
    decltype(load(begin)) values[together];
#pragma unroll
    for (int k = 0; k < together; ++k)
      if (begin + k * Threads < last) values[k] = load(begin + k * Threads);
#pragma unroll
    for (int k = 0; k < together; ++k)
      if (begin + k * Threads < last) step(begin + k * Threads, values[k]);
  }
}

}  // namespace kagami::cuda
