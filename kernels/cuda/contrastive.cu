// Contrastive losses. A block takes 64 rows and a share of the columns, and makes the similarities of 64 columns at a
// time: 16 in the registers of each of 256 threads. The shares are cut by the shape alone and put together in their
// order. Products are of fp32's precision, on tensor cores: at a temperature of .01 an error of a similarity grows a
// hundredfold in the logit.
#include "kernels/contrastive.h"

#include <algorithm>

#include "kernels/cuda/ptx.h"

namespace kagami {
namespace {

constexpr int threads = 256;   // warps: 4 along rows, 2 along columns
constexpr int tile = 64;       // rows and columns of a block
constexpr int depth = 32;      // of a product, at a time
constexpr int dim_tile = 128;  // components of the gradient of a block

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Vectors of a tile that lie one after another: `count` of them exist.
struct Vectors {
  const float* data;
  int count, dim;
  __device__ float at(int vector, int component) const {
    return vector < count && component < dim ? data[std::int64_t{vector} * dim + component] : 0.0F;
  }
};

__device__ Vectors tile_of(const float* vectors, int all, int first, int dim) {
  return {vectors + std::int64_t{first} * dim, all - first < tile ? all - first : tile, dim};
}

/// A tile of columns: keys from `first` on, or vectors of the queue.
struct ColumnTile {
  bool of_keys;
  int first;
  Vectors vectors;
  __device__ bool has(int column) const { return column < vectors.count; }
};

KAGAMI_HD int tiles_of(int vectors) { return (vectors + tile - 1) / tile; }

/// Tiles of keys that a tile of rows meets: all, or the one that holds its own.
KAGAMI_HD int key_tiles(const ContrastiveShape& shape) {
  return shape.pairing == Pairing::own_key ? 1 : tiles_of(shape.rows);
}

/// Tile t of those that rows from first_row on meet: keys, then the queue.
__device__ ColumnTile column_tile(const ContrastiveShape& shape, const Columns<float>& columns, int first_row, int t) {
  const int of_keys = key_tiles(shape);
  if (t >= of_keys) {
    const int first = (t - of_keys) * tile;
    return {false, first, tile_of(columns.queue, shape.queue, first, shape.dim)};
  }
  const int first = shape.pairing == Pairing::own_key ? first_row : t * tile;
  return {true, first, tile_of(columns.keys, shape.rows, first, shape.dim)};
}

/// How the tiles of columns are shared: `splits` blocks take `tiles` each, of `all`.
struct Split {
  int splits, tiles, all;
};
Split split_of(const ContrastiveShape& shape) {
  constexpr int blocks = 256;
  const int all = key_tiles(shape) + tiles_of(shape.queue);
  const int wanted = std::clamp(blocks / tiles_of(shape.rows), 1, all);
  const int tiles = (all + wanted - 1) / wanted;
  return {(all + tiles - 1) / tiles, tiles, all};
}
/// The first tile of this block's share, and the end of it.
__device__ int first_tile(const Split& split) { return static_cast<int>(blockIdx.y) * split.tiles; }
__device__ int last_tile(const Split& split) {
  const int end = first_tile(split) + split.tiles;
  return end < split.all ? end : split.all;
}

__device__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
/// The warp's place.
__device__ int warp_row() { return static_cast<int>(threadIdx.x) / 64 * 16; }
__device__ int warp_column() { return static_cast<int>(threadIdx.x) / 32 % 2; }

/// A thread's part of a product of 64 rows: two rows of the 16 of its warp, and of every 8 columns two.
template <int Eights>
struct Part {
  float value[Eights][4] = {};
  /// Where value[e][i] stands.
  __device__ static int row(int i) { return warp_row() + lane() / 4 + i / 2 * 8; }
  __device__ static int column(int e, int i) { return (warp_column() * Eights + e) * 8 + lane() % 4 * 2 + i % 2; }
};
using Similarities = Part<tile / 16>;
using Gradient = Part<dim_tile / 16>;

/// Floats as pairs of tf32, which hold 22 of their 24 bits.
template <int N>
struct Fragment {
  std::uint32_t high[N], low[N];
  __device__ void set(int i, float x) {
    high[i] = ptx::to_tf32(x);
    low[i] = ptx::to_tf32(x - __int_as_float(static_cast<int>(high[i])));
  }
};

/// sum += a b: a 16 x 8, b 8 x 8. Tensor cores cut off what does not fit into a sum instead of rounding it, and that
/// adds up: only the sum of 8 products is left to them (Ootomo and Yokota 2022). The error is then below that of plain
/// floats; with whole sums left to them it would be some ten times that.
__device__ void multiply_add(float (&sum)[4], const Fragment<4>& a, const Fragment<2>& b) {
  float eight[4] = {};
  ptx::mma_m16n8k8_tf32(eight, a.low, b.high, eight);
  ptx::mma_m16n8k8_tf32(eight, a.high, b.low, eight);
  ptx::mma_m16n8k8_tf32(eight, a.high, b.high, eight);
#pragma unroll
  for (int i = 0; i < 4; ++i) sum[i] += eight[i];
}

/// sum += A B with A(row, k) and B(k, column), k in [0, depth), read from shared memory by a(row, k) and b(k, column).
template <int Eights, class A, class B>
__device__ void multiply(Part<Eights>& sum, A a, B b) {
  const int row = warp_row() + lane() / 4, column = warp_column() * Eights * 8 + lane() / 4, own_k = lane() % 4;
#pragma unroll
  for (int k = 0; k < depth; k += 8) {
    Fragment<4> x;
#pragma unroll
    for (int i = 0; i < 4; ++i) x.set(i, a(row + i % 2 * 8, k + own_k + i / 2 * 4));
#pragma unroll
    for (int e = 0; e < Eights; ++e) {
      Fragment<2> y;
#pragma unroll
      for (int i = 0; i < 2; ++i) y.set(i, b(k + own_k + i * 4, column + e * 8));
      multiply_add(sum.value[e], x, y);
    }
  }
}

/// Values in shared memory, [Lines][Length]. The gap between lines keeps a warp that reads a fragment off the same
/// banks: 4 where lines are what a fragment has 8 of, 8 where they are its k.
template <int Lines, int Length, int Gap>
struct alignas(16) Shared {
  float at[Lines][Length + Gap];

  /// Vectors [vector, vector + Lines), components [component, component + Length).
  __device__ void load(const Vectors& vectors, int vector, int component) {
    for (int i = static_cast<int>(threadIdx.x); i < Lines * Length; i += threads)
      at[i / Length][i % Length] = vectors.at(vector + i / Length, component + i % Length);
  }
};
struct Operands {
  Shared<tile, depth, 4> rows, columns;
};

/// Dot products times `factor`. Every thread of the block calls it.
__device__ Similarities similarities(Operands& operands, const Vectors& rows, const Vectors& columns, float factor) {
  Similarities s;
  for (int k = 0; k < rows.dim; k += depth) {
    __syncthreads();
    operands.rows.load(rows, 0, k);
    operands.columns.load(columns, 0, k);
    __syncthreads();
    multiply(
        s, [&](int row, int i) { return operands.rows.at[row][i]; },
        [&](int i, int column) { return operands.columns.at[column][i]; });
  }
#pragma unroll
  for (auto& of_eight : s.value)
#pragma unroll
    for (float& value : of_eight) value *= factor;
  return s;
}
__device__ float factor_of(const ContrastiveShape& shape) { return static_cast<float>(1 / shape.temperature); }

__device__ LogSumExp<float> joined(const LogSumExp<float>& a, const LogSumExp<float>& b) {
  const float top = larger_or_nan(a.largest, b.largest);
  if (top == -infinity) return {};
  return {top, a.sum * std::exp(a.largest - top) + b.sum * std::exp(b.largest - top)};
}

/// Takes in the similarities of row(2 half); those of nothing are -infinity.
__device__ void add(LogSumExp<float>& state, const Similarities& s, int half) {
  LogSumExp<float> more;
#pragma unroll
  for (const auto& of_eight : s.value)
#pragma unroll
    for (int c = 0; c < 2; ++c) more.largest = larger_or_nan(of_eight[half * 2 + c], more.largest);
  if (more.largest == -infinity) return;
#pragma unroll
  for (const auto& of_eight : s.value)
#pragma unroll
    for (int c = 0; c < 2; ++c) more.sum += std::exp(of_eight[half * 2 + c] - more.largest);
  state = joined(state, more);
}

/// partial[2 split + half][row]: the negatives among half of the columns of the split's tiles. positives[row]: the
/// similarity of the positive.
__global__ void __launch_bounds__(threads)
    sum_negatives(ContrastiveShape shape, Split split, const float* rows, Columns<float> columns,
                  LogSumExp<float>* partial, float* positives) {
  KAGAMI_SHARED(operands, Operands);
  const int first_row = static_cast<int>(blockIdx.x) * tile;
  const Vectors own = tile_of(rows, shape.rows, first_row, shape.dim);
  const float factor = factor_of(shape);
  LogSumExp<float> state[2];
  for (int t = first_tile(split); t < last_tile(split); ++t) {
    const ColumnTile met = column_tile(shape, columns, first_row, t);
    Similarities s = similarities(operands, own, met.vectors, factor);
#pragma unroll
    for (int e = 0; e < tile / 16; ++e)
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int i = first_row + s.row(k), column = s.column(e, k), j = met.first + column;
        if (met.of_keys && i < shape.rows && j == shape.positive_of(i)) positives[i] = s.value[e][k];
        if (!met.has(column) || (met.of_keys && !shape.is_negative(i, j))) s.value[e][k] = -infinity;
      }
#pragma unroll
    for (int half = 0; half < 2; ++half) add(state[half], s, half);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    for (int other = 1; other < 4; other *= 2)  // the lanes that share the row
      state[half] = joined(state[half], {__shfl_xor_sync(~0U, state[half].largest, other),
                                         __shfl_xor_sync(~0U, state[half].sum, other)});
    const int i = first_row + Similarities::row(half * 2);
    const std::int64_t part = 2 * static_cast<int>(blockIdx.y) + warp_column();
    if (lane() % 4 == 0 && i < shape.rows) partial[part * shape.rows + i] = state[half];
  }
}

__global__ void __launch_bounds__(threads)
    finish_rows(int rows, int parts, const LogSumExp<float>* partial, const float* positives, float* log_sums,
                float* losses, float* correct) {
  const int i = static_cast<int>(blockIdx.x * threads + threadIdx.x);
  if (i >= rows) return;
  LogSumExp<float> negatives;
  for (int part = 0; part < parts; ++part) negatives = joined(negatives, partial[std::int64_t{part} * rows + i]);
  const ContrastiveRow<float> row = contrastive_row(positives[i], negatives);
  log_sums[i] = row.log_sum;
  losses[i] = row.loss;
  correct[i] = row.correct;
}

/// Log-sums by which a gradient weighs; either may be null.
struct Sums {
  const float *rows, *columns;
};

struct GradientShared {
  Shared<tile, tile, 4> weights;  // [row][column]
  union {
    Operands operands;
    Shared<depth, dim_tile, 8> weighed;
  };
};

/// One term of a weight. The exponent is never split: e^s e^-log_sum is infinity times zero at low temperatures.
__device__ float weight_term(float s, float log_sum, bool positive) {
  return std::exp(s - log_sum) - (positive ? 1.0F : 0.0F);
}

/// Weights of the gradient, from similarities.
__device__ void store_weights(GradientShared& shared, const ContrastiveShape& shape, const Sums& sums, int first_row,
                              const ColumnTile& met, const Similarities& s) {
#pragma unroll
  for (int e = 0; e < tile / 16; ++e)
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int row = s.row(k), column = s.column(e, k), i = first_row + row, j = met.first + column;
      const bool positive = met.of_keys && j == shape.positive_of(i);
      float weight = 0;
      if (i < shape.rows && met.has(column) && (!met.of_keys || positive || shape.is_negative(i, j))) {
        if (sums.rows) weight = weight_term(s.value[e][k], sums.rows[i], positive);
        if (sums.columns && met.of_keys) weight += weight_term(s.value[e][k], sums.columns[j], positive);
      }
      shared.weights.at[row][column] = weight;
    }
}

/// sums += weights times the tile's vectors, components from first_dim on. Every thread calls it.
__device__ void weigh(GradientShared& shared, const Vectors& vectors, int first_dim, Gradient& sums) {
  for (int first = 0; first < tile; first += depth) {
    __syncthreads();
    shared.weighed.load(vectors, first, first_dim);
    __syncthreads();
    multiply(
        sums, [&](int row, int k) { return shared.weights.at[row][first + k]; },
        [&](int k, int component) { return shared.weighed.at[k][component]; });
  }
}

/// out[split]: the split's part of the gradient.
__global__ void __launch_bounds__(threads) sum_gradients(ContrastiveShape shape, Split split, const float* rows,
                                                         Columns<float> columns, Sums log_sums, float* out) {
  auto& shared = dynamic_shared<GradientShared>();
  const int first_row = static_cast<int>(blockIdx.x) * tile, first_dim = static_cast<int>(blockIdx.z) * dim_tile;
  const Vectors own = tile_of(rows, shape.rows, first_row, shape.dim);
  const float factor = factor_of(shape);
  Gradient sums;
  for (int t = first_tile(split); t < last_tile(split); ++t) {
    const ColumnTile met = column_tile(shape, columns, first_row, t);
    const Similarities s = similarities(shared.operands, own, met.vectors, factor);
    store_weights(shared, shape, log_sums, first_row, met, s);
    weigh(shared, met.vectors, first_dim, sums);
  }
  out += std::int64_t{blockIdx.y} * shape.rows * shape.dim;
#pragma unroll
  for (int e = 0; e < dim_tile / 16; ++e)
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int i = first_row + sums.row(k), component = first_dim + sums.column(e, k);
      if (i < shape.rows && component < shape.dim) out[std::int64_t{i} * shape.dim + component] = sums.value[e][k];
    }
}

__global__ void __launch_bounds__(threads) add_splits(std::int64_t count, int splits, const float* parts, float* out) {
  const std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (i >= count) return;
  float sum = parts[i];
  for (int split = 1; split < splits; ++split) sum += parts[split * count + i];
  out[i] = sum;
}

std::uint32_t blocks_for(std::int64_t count, int block) {
  return static_cast<std::uint32_t>((count + block - 1) / block);
}
dim3 grid_of(const ContrastiveShape& shape, const Split& split, int dim_tiles) {
  return {blocks_for(shape.rows, tile), static_cast<std::uint32_t>(split.splits),
          static_cast<std::uint32_t>(dim_tiles)};
}

}  // namespace

template <>
void contrastive_forward(Cuda device, const ContrastiveShape& shape, const float* rows, const Columns<float>& columns,
                         float* log_sums, float* losses, float* correct) {
  const Split split = split_of(shape);
  const std::size_t count = static_cast<std::size_t>(shape.rows);
  const Scratch<LogSumExp<float>> partial(device.memory, 2 * count * static_cast<std::size_t>(split.splits));
  const Scratch<float> positives(device.memory, count);
  launch<sum_negatives>(device, grid_of(shape, split, 1), dim3{threads}, 0, shape, split, rows, columns, partial.data(),
                        positives.data());
  launch<finish_rows>(device, dim3{blocks_for(shape.rows, threads)}, dim3{threads}, 0, shape.rows, 2 * split.splits,
                      static_cast<const LogSumExp<float>*>(partial.data()), static_cast<const float*>(positives.data()),
                      log_sums, losses, correct);
}

template <>
void contrastive_backward(Cuda device, const ContrastiveShape& shape, const float* rows, const Columns<float>& columns,
                          const float* row_sums, const float* column_sums, float* d_rows) {
  const Split split = split_of(shape);
  const Sums sums{row_sums, column_sums};
  const std::int64_t values = std::int64_t{shape.rows} * shape.dim;
  const dim3 grid = grid_of(shape, split, (shape.dim + dim_tile - 1) / dim_tile);
  if (split.splits == 1) {
    launch<sum_gradients>(device, grid, dim3{threads}, sizeof(GradientShared), shape, split, rows, columns, sums,
                          d_rows);
    return;
  }
  const Scratch<float> parts(device.memory, static_cast<std::size_t>(split.splits * values));
  launch<sum_gradients>(device, grid, dim3{threads}, sizeof(GradientShared), shape, split, rows, columns, sums,
                        parts.data());
  launch<add_splits>(device, dim3{blocks_for(values, threads)}, dim3{threads}, 0, values, split.splits,
                     static_cast<const float*>(parts.data()), d_rows);
}

}  // namespace kagami
