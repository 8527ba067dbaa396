#pragma once
// What the kernels of batch norm share. All go over [rows, channels] in the same way: a block takes a tile of channels,
// packets of them side by side (threadIdx.x), and as many rows at once as fill 256 threads (threadIdx.y), so that what
// belongs to a channel stays in registers. For sums the rows of a group are cut into chunks by the shape alone: a block
// sums one chunk, and a finishing kernel puts the chunks together in their order.
#include <algorithm>

#include "kernels/batch_norm.h"
#include "kernels/cuda/pack.cuh"

namespace kagami::norm {

using cuda::WidePack;

constexpr int threads = 256, widest_tile = 32;
constexpr int finish_channels = 8, finish_slices = 32;

/// One group's rows, in `chunks` pieces of `chunk_rows` (the last may be shorter).
struct Cut {
  std::int64_t group_rows, chunk_rows;
  int channels, groups, chunks;
};
struct RowRange {
  std::int64_t first, count;
};
__device__ inline std::int64_t rows_of_chunk(const Cut& cut, int chunk) {
  const std::int64_t left = cut.group_rows - chunk * cut.chunk_rows;
  return left < cut.chunk_rows ? left : cut.chunk_rows;
}
/// The rows of a piece: pieces are numbered over the chunks of all groups.
__device__ inline RowRange rows_of_piece(const Cut& cut, int piece) {
  const int group = piece / cut.chunks, chunk = piece % cut.chunks;
  return {group * cut.group_rows + chunk * cut.chunk_rows, rows_of_chunk(cut, chunk)};
}

/// Blocks for a shape.
struct Tiling {
  int lanes, rows, tiles;
  Tiling(int channels, int packet) {
    const int packets = (channels + packet - 1) / packet;
    lanes = 1;
    while (lanes < packets && lanes < widest_tile) lanes *= 2;
    rows = threads / lanes;
    tiles = (packets + lanes - 1) / lanes;
  }
  dim3 block() const { return {static_cast<std::uint32_t>(lanes), static_cast<std::uint32_t>(rows)}; }
};

/// About 512 blocks over all (four on each multiprocessor of the largest GPUs), but at least four rows a thread.
inline Cut cut_of(const BatchNormShape& shape, const Tiling& tiling) {
  constexpr std::int64_t blocks = 512, rows_a_thread = 4;
  const std::int64_t group_rows = shape.group_rows();
  const std::int64_t most = std::max<std::int64_t>(1, blocks / (std::int64_t{tiling.tiles} * shape.groups));
  const std::int64_t rows = std::max((group_rows + most - 1) / most, rows_a_thread * tiling.rows);
  return {group_rows, rows, shape.channels, shape.groups, static_cast<int>((group_rows + rows - 1) / rows)};
}

/// Statistics of x that were gathered while x was stored: mean and sum of squared deviations of every `rows`
/// consecutive rows (a strip; the last may be shorter), each [strips, channels].
struct Strips {
  const float *means, *squares;
  int rows;
};

/// Chunks of whole strips.
inline Cut cut_of(const BatchNormShape& shape, const Strips& strips) {
  constexpr std::int64_t chunks = 512;
  const std::int64_t all = (shape.group_rows() + strips.rows - 1) / strips.rows;
  const std::int64_t rows = (all * shape.groups + chunks - 1) / chunks * strips.rows;
  return {shape.group_rows(), rows, shape.channels, shape.groups,
          static_cast<int>((shape.group_rows() + rows - 1) / rows)};
}

/// The first channel of this thread's packet.
template <int N>
__device__ int first_channel() {
  return static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * N;
}

/// What belongs to the channels of a packet; nothing where the thread has no channels.
template <int N, class T>
__device__ void load_channels(T (&to)[N], const T* from, bool inside) {
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = inside ? from[i] : T(0);
}

/// The sums of a block's tile of channels.
template <int N>
struct ColumnSums {
  float values[N][threads];

  __device__ static int thread() { return static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); }
  /// Whether this thread gets a channel's sum from add(), and which channel of the tile that is.
  __device__ static bool has_sum() { return thread() < static_cast<int>(blockDim.x) * N; }
  __device__ static int channel() {
    const int lanes = static_cast<int>(blockDim.x);
    return thread() % lanes * N + thread() / lanes;
  }
  __device__ static int tile() { return static_cast<int>(blockIdx.y * blockDim.x) * N; }

  /// The sum of v over the rows of the block, in their order. Every thread calls it.
  __device__ double add(const float (&v)[N]) {
    const int lanes = static_cast<int>(blockDim.x);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; ++i) values[i][thread()] = v[i];
    __syncthreads();
    double sum = 0;
    if (has_sum()) {
      const float* column = values[thread() / lanes] + thread() % lanes;
      for (int row = 0; row < static_cast<int>(blockDim.y); ++row) sum += column[row * lanes];
    }
    return sum;
  }
};

/// The sum of value(chunk) over a group's chunks for each of finish_channels channels: slices of chunks in parallel,
/// then a tree. Every thread of the block calls it and gets its channel's sum.
template <class F>
__device__ double sum_of_chunks(int chunks, bool inside, F value) {
  KAGAMI_SHARED(slices, double[finish_slices][finish_channels]);
  const int slice = static_cast<int>(threadIdx.y), channel = static_cast<int>(threadIdx.x);
  const int share = (chunks + finish_slices - 1) / finish_slices;
  const int first = slice * share, last = first + share < chunks ? first + share : chunks;
  double sum = 0;
  if (inside) {
#pragma unroll 4
    for (int chunk = first; chunk < last; ++chunk) sum += value(chunk);
  }
  __syncthreads();
  slices[slice][channel] = sum;
  for (int step = finish_slices / 2; step > 0; step /= 2) {
    __syncthreads();
    if (slice < step) slices[slice][channel] += slices[slice + step][channel];
  }
  __syncthreads();
  return slices[0][channel];
}

// The same code in the forward pass and in both backward passes, so that all agree on where ReLU cut.
__device__ __forceinline__ float normalized(float x, float scale, float shift) { return x * scale + shift; }

/// Calls f<N>() with packets where all the arrays have them, else with single values.
template <class T, class F, class... Pointers>
void with_packets(int channels, F f, const Pointers*... arrays) {
  if (cuda::holds_packs<T>(channels, arrays...)) {
    f.template operator()<cuda::widest_pack<T>>();
  } else {
    f.template operator()<1>();
  }
}

inline std::uint32_t blocks_for(std::int64_t count, std::int64_t each) {
  return static_cast<std::uint32_t>((count + each - 1) / each);
}

inline dim3 piece_grid(const Cut& cut, const Tiling& tiling) {
  return {static_cast<std::uint32_t>(cut.chunks * cut.groups), static_cast<std::uint32_t>(tiling.tiles)};
}

/// Blocks that fill the device, for kernels that only write element by element.
inline dim3 row_grid(const Cuda& device, const Cut& cut, const Tiling& tiling) {
  constexpr std::int64_t blocks_a_multiprocessor = 8;
  const std::int64_t most = std::max<std::int64_t>(
      1, blocks_a_multiprocessor * device.multiprocessors / (std::int64_t{tiling.tiles} * cut.groups));
  const std::int64_t wanted = (cut.group_rows + tiling.rows - 1) / tiling.rows;
  return {static_cast<std::uint32_t>(std::min(wanted, most)), static_cast<std::uint32_t>(tiling.tiles),
          static_cast<std::uint32_t>(cut.groups)};
}

constexpr dim3 finish_block{finish_channels, finish_slices};

/// Whether no strip of so many rows holds rows of two groups.
inline bool fits_strips(const BatchNormShape& shape, int rows) {
  return shape.groups == 1 || shape.group_rows() % rows == 0;
}
/// batch_norm_measure from the strips of x instead of x.
template <class T>
void measure_from_strips(Cuda device, const BatchNormMeasure<T>& measure, const Strips& strips);

}  // namespace kagami::norm
