// Contrastive losses. A block takes 64 rows and a share of the columns, and makes the similarities of 64 columns at a
// time: 16 in the registers of each of 256 threads. The shares are cut by the shape alone and put together in their
// order. Products are fp32: at a temperature of .01 an error of a similarity grows a hundredfold in the logit.
#include "kernels/contrastive.h"

#include <algorithm>

#include "kernels/cuda/cuda.h"

namespace kagami {
namespace {

constexpr int threads = 256, side = 16;  // threads along rows and along columns
constexpr int each = 4;                  // rows and columns of a thread
constexpr int tile = side * each;        // rows and columns of a block
constexpr int depth = 32;                // of a product, at a time
constexpr int pitch = tile + 4;          // so that rows of shared memory begin in different banks, on 16 bytes
constexpr int dim_tile = 128;            // components of the gradient of a block

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

/// Components [k, k + depth) of a tile's vectors, one vector a column.
struct alignas(16) Operand {
  float at[depth][pitch];

  __device__ void load(const Vectors& vectors, int k) {
    for (int i = static_cast<int>(threadIdx.x); i < tile * depth; i += threads)
      at[i % depth][i / depth] = vectors.at(i / depth, k + i % depth);
  }
};
struct Operands {
  Operand rows, columns;
};

/// A thread's place in the tile: rows 4 row() ..., columns 4 column() ...
__device__ int row() { return static_cast<int>(threadIdx.x) / side * each; }
__device__ int column() { return static_cast<int>(threadIdx.x) % side * each; }

__device__ void load4(float (&to)[each], const float* from) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}

/// s = dot products times `factor` of this thread's rows and columns. Every thread of the block calls it.
__device__ void similarities(Operands& operands, const Vectors& rows, const Vectors& columns, float factor,
                             float (&s)[each][each]) {
  for (int r = 0; r < each; ++r)
    for (int c = 0; c < each; ++c) s[r][c] = 0;
  for (int k = 0; k < rows.dim; k += depth) {
    __syncthreads();
    operands.rows.load(rows, k);
    operands.columns.load(columns, k);
    __syncthreads();
#pragma unroll 4
    for (int i = 0; i < depth; ++i) {
      float a[each], b[each];
      load4(a, operands.rows.at[i] + row());
      load4(b, operands.columns.at[i] + column());
#pragma unroll
      for (int r = 0; r < each; ++r)
#pragma unroll
        for (int c = 0; c < each; ++c) s[r][c] += a[r] * b[c];
    }
  }
#pragma unroll
  for (int r = 0; r < each; ++r)
#pragma unroll
    for (int c = 0; c < each; ++c) s[r][c] *= factor;
}
__device__ float factor_of(const ContrastiveShape& shape) { return static_cast<float>(1 / shape.temperature); }

__device__ LogSumExp<float> joined(const LogSumExp<float>& a, const LogSumExp<float>& b) {
  const float top = larger_or_nan(a.largest, b.largest);
  if (top == -infinity) return {};
  return {top, a.sum * std::exp(a.largest - top) + b.sum * std::exp(b.largest - top)};
}

/// Takes in similarities; those of nothing are -infinity.
__device__ void add(LogSumExp<float>& state, const float (&s)[each]) {
  LogSumExp<float> more;
#pragma unroll
  for (int c = 0; c < each; ++c) more.largest = larger_or_nan(s[c], more.largest);
  if (more.largest == -infinity) return;
#pragma unroll
  for (int c = 0; c < each; ++c) more.sum += std::exp(s[c] - more.largest);
  state = joined(state, more);
}

/// partial[split][row]: the negatives among the split's columns. positives[row]: the similarity of the positive.
__global__ void __launch_bounds__(threads)
    sum_negatives(ContrastiveShape shape, Split split, const float* rows, Columns<float> columns,
                  LogSumExp<float>* partial, float* positives) {
  KAGAMI_SHARED(operands, Operands);
  const int first_row = static_cast<int>(blockIdx.x) * tile;
  const Vectors own = tile_of(rows, shape.rows, first_row, shape.dim);
  const float factor = factor_of(shape);
  LogSumExp<float> state[each];
  for (int t = first_tile(split); t < last_tile(split); ++t) {
    const ColumnTile met = column_tile(shape, columns, first_row, t);
    float s[each][each];
    similarities(operands, own, met.vectors, factor, s);
#pragma unroll
    for (int r = 0; r < each; ++r) {
      const int i = first_row + row() + r;
#pragma unroll
      for (int c = 0; c < each; ++c) {
        const int j = met.first + column() + c;
        if (met.of_keys && i < shape.rows && j == shape.positive_of(i)) positives[i] = s[r][c];
        if (!met.has(column() + c) || (met.of_keys && !shape.is_negative(i, j))) s[r][c] = -infinity;
      }
      add(state[r], s[r]);
    }
  }
#pragma unroll
  for (int r = 0; r < each; ++r) {
    for (int lane = side / 2; lane > 0; lane /= 2)
      state[r] =
          joined(state[r], {__shfl_xor_sync(~0U, state[r].largest, lane), __shfl_xor_sync(~0U, state[r].sum, lane)});
    const int i = first_row + row() + r;
    if (column() == 0 && i < shape.rows) partial[std::int64_t{blockIdx.y} * shape.rows + i] = state[r];
  }
}

__global__ void __launch_bounds__(threads)
    finish_rows(int rows, int splits, const LogSumExp<float>* partial, const float* positives, float* log_sums,
                float* losses, float* correct) {
  const int i = static_cast<int>(blockIdx.x * threads + threadIdx.x);
  if (i >= rows) return;
  LogSumExp<float> negatives;
  for (int split = 0; split < splits; ++split) negatives = joined(negatives, partial[std::int64_t{split} * rows + i]);
  const ContrastiveRow<float> row = contrastive_row(positives[i], negatives);
  log_sums[i] = row.log_sum;
  losses[i] = row.loss;
  correct[i] = row.correct;
}

/// Log-sums by which a gradient weighs; either may be null.
struct Sums {
  const float *rows, *columns;
};

/// Columns of weights, then components of the vectors to weigh.
struct alignas(16) Weights {
  float at[tile][pitch];  // [column][row]
};
struct alignas(16) Weighed {
  float at[depth][dim_tile];

  /// Vectors [first, first + depth), components [first_dim, first_dim + dim_tile).
  __device__ void load(const Vectors& vectors, int first, int first_dim) {
    for (int i = static_cast<int>(threadIdx.x); i < depth * dim_tile; i += threads)
      at[i / dim_tile][i % dim_tile] = vectors.at(first + i / dim_tile, first_dim + i % dim_tile);
  }
};
struct GradientShared {
  Weights weights;
  union {
    Operands operands;
    Weighed weighed;
  };
};

/// One term of a weight. The exponent is never split: e^s e^-log_sum is infinity times zero at low temperatures.
__device__ float weight_term(float s, float log_sum, bool positive) {
  return std::exp(s - log_sum) - (positive ? 1.0F : 0.0F);
}

/// Turns similarities into the weights of the gradient.
__device__ void store_weights(Weights& weights, const ContrastiveShape& shape, const Sums& sums, int first_row,
                              const ColumnTile& met, const float (&s)[each][each]) {
#pragma unroll
  for (int c = 0; c < each; ++c) {
    const int j = met.first + column() + c;
    float w[each] = {};
#pragma unroll
    for (int r = 0; r < each; ++r) {
      const int i = first_row + row() + r;
      const bool positive = met.of_keys && j == shape.positive_of(i);
      if (i >= shape.rows || !met.has(column() + c)) continue;
      if (met.of_keys && !positive && !shape.is_negative(i, j)) continue;
      if (sums.rows) w[r] = weight_term(s[r][c], sums.rows[i], positive);
      if (sums.columns && met.of_keys) w[r] += weight_term(s[r][c], sums.columns[j], positive);
    }
    *reinterpret_cast<float4*>(weights.at[column() + c] + row()) = {w[0], w[1], w[2], w[3]};
  }
}

/// sums += weights times the tile's vectors: components 4 column() + 64 h ... of them. Every thread calls it.
constexpr int halves = dim_tile / tile;
__device__ void weigh(GradientShared& shared, const Vectors& vectors, int first_dim,
                      float (&sums)[each][halves * each]) {
  for (int k = 0; k < tile; k += depth) {
    __syncthreads();
    shared.weighed.load(vectors, k, first_dim);
    __syncthreads();
#pragma unroll 4
    for (int i = 0; i < depth; ++i) {
      float w[each], u[each];
      load4(w, shared.weights.at[k + i] + row());
#pragma unroll
      for (int h = 0; h < halves; ++h) {
        load4(u, shared.weighed.at[i] + h * tile + column());
#pragma unroll
        for (int r = 0; r < each; ++r)
#pragma unroll
          for (int c = 0; c < each; ++c) sums[r][h * each + c] += w[r] * u[c];
      }
    }
  }
}

/// out[split]: the split's part of the gradient.
__global__ void __launch_bounds__(threads) sum_gradients(ContrastiveShape shape, Split split, const float* rows,
                                                         Columns<float> columns, Sums log_sums, float* out) {
  auto& shared = dynamic_shared<GradientShared>();
  const int first_row = static_cast<int>(blockIdx.x) * tile, first_dim = static_cast<int>(blockIdx.z) * dim_tile;
  const Vectors own = tile_of(rows, shape.rows, first_row, shape.dim);
  const float factor = factor_of(shape);
  float sums[each][halves * each] = {};
  for (int t = first_tile(split); t < last_tile(split); ++t) {
    const ColumnTile met = column_tile(shape, columns, first_row, t);
    float s[each][each];
    similarities(shared.operands, own, met.vectors, factor, s);
    store_weights(shared.weights, shape, log_sums, first_row, met, s);
    weigh(shared, met.vectors, first_dim, sums);
  }
  out += std::int64_t{blockIdx.y} * shape.rows * shape.dim;
#pragma unroll
  for (int r = 0; r < each; ++r) {
    const int i = first_row + row() + r;
#pragma unroll
    for (int c = 0; c < halves * each; ++c) {
      const int k = first_dim + c / each * tile + column() + c % each;
      if (i < shape.rows && k < shape.dim) out[std::int64_t{i} * shape.dim + k] = sums[r][c];
    }
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
  const Scratch<LogSumExp<float>> partial(device.memory, count * static_cast<std::size_t>(split.splits));
  const Scratch<float> positives(device.memory, count);
  launch<sum_negatives>(device, grid_of(shape, split, 1), dim3{threads}, 0, shape, split, rows, columns, partial.data(),
                        positives.data());
  launch<finish_rows>(device, dim3{blocks_for(shape.rows, threads)}, dim3{threads}, 0, shape.rows, split.splits,
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
