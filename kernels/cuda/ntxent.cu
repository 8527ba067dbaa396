// NT-Xent. A block takes 64 rows and a share of the columns, and makes the similarities of 64 columns at a time: 16 in
// the registers of each of 256 threads. The shares are cut by the shape alone and put together in their order.
// Products are fp32: at a temperature of .01 an error of a similarity grows a hundredfold in the logit.
#include "kernels/ntxent.h"

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

/// How the columns are shared: `splits` blocks take `tiles` tiles each.
struct Split {
  int splits, tiles;
};
Split split_of(const NtXentShape& shape) {
  constexpr int blocks = 256;
  const int all = (shape.rows + tile - 1) / tile, wanted = std::clamp(blocks / all, 1, all);
  const int tiles = (all + wanted - 1) / wanted;
  return {(all + tiles - 1) / tiles, tiles};
}

/// Components [k, k + depth) of a tile's vectors, one vector a column.
struct alignas(16) Operand {
  float at[depth][pitch];

  __device__ void load(const NtXentShape& shape, const float* unit, int first, int k) {
    for (int i = static_cast<int>(threadIdx.x); i < tile * depth; i += threads) {
      const int component = i % depth, vector = i / depth;
      const bool inside = first + vector < shape.rows && k + component < shape.dim;
      at[component][vector] = inside ? unit[std::int64_t{first + vector} * shape.dim + k + component] : 0.0F;
    }
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

/// s = similarities over the temperature of this thread's rows and columns, of the tile at (first_row, first_column).
/// Every thread of the block calls it.
__device__ void similarities(Operands& operands, const NtXentShape& shape, const float* unit, int first_row,
                             int first_column, float (&s)[each][each]) {
  for (int r = 0; r < each; ++r)
    for (int c = 0; c < each; ++c) s[r][c] = 0;
  for (int k = 0; k < shape.dim; k += depth) {
    __syncthreads();
    operands.rows.load(shape, unit, first_row, k);
    operands.columns.load(shape, unit, first_column, k);
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
  const float factor = static_cast<float>(1 / shape.temperature);
#pragma unroll
  for (int r = 0; r < each; ++r)
#pragma unroll
    for (int c = 0; c < each; ++c) s[r][c] *= factor;
}

__device__ LogSumExp<float> joined(const LogSumExp<float>& a, const LogSumExp<float>& b) {
  const float top = a.largest > b.largest ? a.largest : b.largest;
  if (top == -std::numeric_limits<float>::infinity()) return {};
  return {top, a.sum * std::exp(a.largest - top) + b.sum * std::exp(b.largest - top)};
}

/// Takes in similarities; those of nothing are -infinity.
__device__ void add(LogSumExp<float>& state, const float (&s)[each]) {
  LogSumExp<float> more;
#pragma unroll
  for (int c = 0; c < each; ++c) more.largest = s[c] > more.largest ? s[c] : more.largest;
  if (more.largest == -std::numeric_limits<float>::infinity()) return;
#pragma unroll
  for (int c = 0; c < each; ++c) more.sum += std::exp(s[c] - more.largest);
  state = joined(state, more);
}

/// partial[split][row]: the negatives among the split's columns. positives[row]: the similarity of the positive.
__global__ void __launch_bounds__(threads)
    sum_negatives(NtXentShape shape, int tiles, const float* unit, LogSumExp<float>* partial, float* positives) {
  constexpr float nothing = -std::numeric_limits<float>::infinity();
  KAGAMI_SHARED(operands, Operands);
  const int first_row = static_cast<int>(blockIdx.x) * tile, first_column = static_cast<int>(blockIdx.y) * tiles * tile;
  LogSumExp<float> state[each];
  for (int t = 0; t < tiles && first_column + t * tile < shape.rows; ++t) {
    float s[each][each];
    similarities(operands, shape, unit, first_row, first_column + t * tile, s);
#pragma unroll
    for (int r = 0; r < each; ++r) {
      const int i = first_row + row() + r;
#pragma unroll
      for (int c = 0; c < each; ++c) {
        const int j = first_column + t * tile + column() + c;
        if (i < shape.rows && j == shape.positive_of(i)) {
          positives[i] = s[r][c];
          s[r][c] = nothing;
        } else if (j == i || j >= shape.rows) {
          s[r][c] = nothing;
        }
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
    finish_rows(NtXentShape shape, int splits, const LogSumExp<float>* partial, const float* positives, float* log_sums,
                float* losses, float* correct) {
  const int i = static_cast<int>(blockIdx.x * threads + threadIdx.x);
  if (i >= shape.rows) return;
  LogSumExp<float> negatives;
  for (int split = 0; split < splits; ++split)
    negatives = joined(negatives, partial[std::int64_t{split} * shape.rows + i]);
  const NtXentRow<float> row = ntxent_row(positives[i], negatives);
  log_sums[i] = row.log_sum;
  losses[i] = row.loss;
  correct[i] = row.correct;
}

/// Columns of weights, then vectors to weigh.
struct alignas(16) Weights {
  float at[tile][pitch];  // [column][row]
};
struct alignas(16) Vectors {
  float at[depth][dim_tile];

  __device__ void load(const NtXentShape& shape, const float* unit, int first, int first_dim) {
    for (int i = static_cast<int>(threadIdx.x); i < depth * dim_tile; i += threads) {
      const int component = i % dim_tile, vector = i / dim_tile;
      const bool inside = first + vector < shape.rows && first_dim + component < shape.dim;
      at[vector][component] = inside ? unit[std::int64_t{first + vector} * shape.dim + first_dim + component] : 0.0F;
    }
  }
};
struct GradientShared {
  Weights weights;
  union {
    Operands operands;
    Vectors vectors;
  };
};

/// Turns similarities into the weights of the gradient. The exponents are never split: e^S e^-log_sum is infinity times
/// zero at low temperatures.
__device__ void store_weights(Weights& weights, const NtXentShape& shape, const float* log_sums, int first_row,
                              int first_column, const float (&s)[each][each]) {
#pragma unroll
  for (int c = 0; c < each; ++c) {
    const int j = first_column + column() + c;
    float w[each] = {};
#pragma unroll
    for (int r = 0; r < each; ++r) {
      const int i = first_row + row() + r;
      if (i >= shape.rows || j >= shape.rows || i == j) continue;
      w[r] = std::exp(s[r][c] - log_sums[i]) + std::exp(s[r][c] - log_sums[j]);
      if (j == shape.positive_of(i)) w[r] -= 2;
    }
    *reinterpret_cast<float4*>(weights.at[column() + c] + row()) = {w[0], w[1], w[2], w[3]};
  }
}

/// sums += weights times the tile's vectors: components 4 column() + 64 h ... of them. Every thread calls it.
constexpr int halves = dim_tile / tile;
__device__ void weigh(GradientShared& shared, const NtXentShape& shape, const float* unit, int first_column,
                      int first_dim, float (&sums)[each][halves * each]) {
  for (int k = 0; k < tile; k += depth) {
    __syncthreads();
    shared.vectors.load(shape, unit, first_column + k, first_dim);
    __syncthreads();
#pragma unroll 4
    for (int i = 0; i < depth; ++i) {
      float w[each], u[each];
      load4(w, shared.weights.at[k + i] + row());
#pragma unroll
      for (int h = 0; h < halves; ++h) {
        load4(u, shared.vectors.at[i] + h * tile + column());
#pragma unroll
        for (int r = 0; r < each; ++r)
#pragma unroll
          for (int c = 0; c < each; ++c) sums[r][h * each + c] += w[r] * u[c];
      }
    }
  }
}

/// out[split]: the split's part of d_unit.
__global__ void __launch_bounds__(threads)
    sum_gradients(NtXentShape shape, int tiles, const float* unit, const float* log_sums, float* out) {
  auto& shared = dynamic_shared<GradientShared>();
  const int first_row = static_cast<int>(blockIdx.x) * tile, first_column = static_cast<int>(blockIdx.y) * tiles * tile;
  const int first_dim = static_cast<int>(blockIdx.z) * dim_tile;
  float sums[each][halves * each] = {};
  for (int t = 0; t < tiles && first_column + t * tile < shape.rows; ++t) {
    float s[each][each];
    similarities(shared.operands, shape, unit, first_row, first_column + t * tile, s);
    store_weights(shared.weights, shape, log_sums, first_row, first_column + t * tile, s);
    weigh(shared, shape, unit, first_column + t * tile, first_dim, sums);
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
dim3 grid_of(const NtXentShape& shape, const Split& split, int dim_tiles) {
  return {blocks_for(shape.rows, tile), static_cast<std::uint32_t>(split.splits),
          static_cast<std::uint32_t>(dim_tiles)};
}

}  // namespace

template <>
void ntxent_forward(Cuda device, const NtXentShape& shape, const float* unit, float* log_sums, float* losses,
                    float* correct) {
  const Split split = split_of(shape);
  const std::size_t rows = static_cast<std::size_t>(shape.rows);
  const Scratch<LogSumExp<float>> partial(device.memory, rows * static_cast<std::size_t>(split.splits));
  const Scratch<float> positives(device.memory, rows);
  launch<sum_negatives>(device, grid_of(shape, split, 1), dim3{threads}, 0, shape, split.tiles, unit, partial.data(),
                        positives.data());
  launch<finish_rows>(device, dim3{blocks_for(shape.rows, threads)}, dim3{threads}, 0, shape, split.splits,
                      static_cast<const LogSumExp<float>*>(partial.data()), static_cast<const float*>(positives.data()),
                      log_sums, losses, correct);
}

template <>
void ntxent_backward(Cuda device, const NtXentShape& shape, const float* unit, const float* log_sums, float* d_unit) {
  const Split split = split_of(shape);
  const std::int64_t values = std::int64_t{shape.rows} * shape.dim;
  const dim3 grid = grid_of(shape, split, (shape.dim + dim_tile - 1) / dim_tile);
  if (split.splits == 1) {
    launch<sum_gradients>(device, grid, dim3{threads}, sizeof(GradientShared), shape, split.tiles, unit, log_sums,
                          d_unit);
    return;
  }
  const Scratch<float> parts(device.memory, static_cast<std::size_t>(split.splits * values));
  launch<sum_gradients>(device, grid, dim3{threads}, sizeof(GradientShared), shape, split.tiles, unit, log_sums,
                        parts.data());
  launch<add_splits>(device, dim3{blocks_for(values, threads)}, dim3{threads}, 0, values, split.splits,
                     static_cast<const float*>(parts.data()), d_unit);
}

}  // namespace kagami
