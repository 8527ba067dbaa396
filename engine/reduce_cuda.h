#pragma once
// The CUDA side of reduce.h. A reduction is cut into chunks by its shape alone; their states are merged in order.
#if KAGAMI_HAS_CUDA
#include "engine/elementwise_cuda.h"

namespace kagami::detail {

constexpr int reduce_threads = 256;
constexpr std::int64_t reduce_row_chunk = 4096;    // values of one block, where they are neighbours
constexpr std::int64_t reduce_column_chunk = 128;  // values of one thread, where neighbours are of other reductions

inline std::int64_t reduce_chunks(const ReduceShape& shape) {
  const std::int64_t chunk = shape.inner == 1 ? reduce_row_chunk : reduce_column_chunk;
  return std::max<std::int64_t>(1, (shape.count + chunk - 1) / chunk);
}

template <class State>
struct BlockStates {
  State state[reduce_threads];
};

/// Rows of neighbours: block (chunk, outer) leaves its state in parts[outer, chunk].
template <class Op, class T>
__global__ void reduce_row_kernel(Op op, ReduceShape shape, std::int64_t chunks, const T* x,
                                  typename Op::State* parts) {
  using State = typename Op::State;
  auto& shared = dynamic_shared<BlockStates<State>>();
  for (std::int64_t part = blockIdx.x; part < shape.outer * chunks; part += gridDim.x) {
    const std::int64_t o = part / chunks, first = part % chunks * reduce_row_chunk;
    const std::int64_t last = first + reduce_row_chunk < shape.count ? first + reduce_row_chunk : shape.count;
    State mine{};
    for (std::int64_t a = first + threadIdx.x; a < last; a += reduce_threads)
      op.add(mine, static_cast<double>(Wide<T>(x[o * shape.count + a])), a);
    shared.state[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = reduce_threads / 2; half > 0; half /= 2) {
      if (threadIdx.x < half) op.merge(shared.state[threadIdx.x], shared.state[threadIdx.x + half]);
      __syncthreads();
    }
    if (threadIdx.x == 0) parts[part] = shared.state[0];
    __syncthreads();
  }
}

/// Columns side by side: a thread for each (outer, chunk, inner).
template <class Op, class T>
__global__ void reduce_column_kernel(Op op, ReduceShape shape, std::int64_t chunks, const T* x,
                                     typename Op::State* parts) {
  const std::int64_t count = shape.outer * chunks * shape.inner;
  for (std::int64_t job = first_element(); job < count; job += element_step()) {
    const std::int64_t i = job % shape.inner, part = job / shape.inner, o = part / chunks;
    const std::int64_t first = part % chunks * reduce_column_chunk;
    const std::int64_t last = first + reduce_column_chunk < shape.count ? first + reduce_column_chunk : shape.count;
    typename Op::State mine{};
    for (std::int64_t a = first; a < last; ++a)
      op.add(mine, static_cast<double>(Wide<T>(x[(o * shape.count + a) * shape.inner + i])), a);
    parts[job] = mine;
  }
}

/// Merges the chunks of a reduction in order: its final state and its result.
template <class Op, class T>
__global__ void reduce_finish_kernel(Op op, ReduceShape shape, std::int64_t chunks, const typename Op::State* parts,
                                     typename Op::State* states, Wide<T>* y) {
  const std::int64_t count = shape.outer * shape.inner;
  for (std::int64_t at = first_element(); at < count; at += element_step()) {
    const std::int64_t o = at / shape.inner, i = at % shape.inner;
    typename Op::State state{};
    for (std::int64_t c = 0; c < chunks; ++c) op.merge(state, parts[(o * chunks + c) * shape.inner + i]);
    states[at] = state;
    y[at] = static_cast<Wide<T>>(op.finish(state, static_cast<double>(shape.count)));
  }
}

template <class Op, class T>
__global__ void reduce_backward_kernel(Op op, ReduceShape shape, const typename Op::State* states, const T* x,
                                       const Wide<T>* dy, T* dx, Accumulate accumulate) {
  using W = Wide<T>;
  const std::int64_t count = shape.outer * shape.count * shape.inner;
  for (std::int64_t at = first_element(); at < count; at += element_step()) {
    const std::int64_t row = at / shape.inner, i = at % shape.inner;
    const std::int64_t o = row / shape.count, a = row % shape.count, to = o * shape.inner + i;
    const double slope = op.df(states[to], static_cast<double>(W(x[at])), a, static_cast<double>(shape.count));
    cuda::put(dx[at], dy[to] * static_cast<W>(slope), accumulate);
  }
}

/// states[outer, inner] and y[outer, inner] of x[outer, count, inner].
template <class Op, class T>
void reduce_forward(const Cuda& device, const Op& op, const ReduceShape& shape, const T* x, typename Op::State* states,
                    Wide<T>* y) {
  using State = typename Op::State;
  const std::int64_t results = shape.outer * shape.inner, chunks = reduce_chunks(shape);
  if (results == 0) return;
  const Scratch<State> parts(device.memory, static_cast<std::size_t>(results * chunks));
  if (shape.inner == 1) {
    constexpr std::int64_t most_blocks = 1 << 16;
    const auto blocks = static_cast<std::uint32_t>(std::min(shape.outer * chunks, most_blocks));
    launch<reduce_row_kernel<Op, T>>(device, dim3{blocks}, dim3{reduce_threads}, sizeof(BlockStates<State>), op, shape,
                                     chunks, x, parts.data());
  } else {
    launch_elements<reduce_column_kernel<Op, T>>(device, results * chunks, op, shape, chunks, x, parts.data());
  }
  launch_elements<reduce_finish_kernel<Op, T>>(device, results, op, shape, chunks,
                                               static_cast<const State*>(parts.data()), states, y);
}

/// dx[o, a, i] (+)= dy[o, i] * df(...).
template <class Op, class T>
void reduce_backward(const Cuda& device, const Op& op, const ReduceShape& shape, const typename Op::State* states,
                     const T* x, const Wide<T>* dy, T* dx, Accumulate accumulate) {
  launch_elements<reduce_backward_kernel<Op, T>>(device, shape.outer * shape.count * shape.inner, op, shape, states, x,
                                                 dy, dx, accumulate);
}

}  // namespace kagami::detail
#endif
