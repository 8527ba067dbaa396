#pragma once
// The one main loop of matrix products and convolutions. A core (gemm_simt.cuh, gemm_mma.cuh) says how a tile lies in
// shared memory and how two tiles are multiplied; operands and results (gemm_operands.cuh, conv_operands.cuh) say where
// tiles come from and go to. Tiles travel through a ring of stages in shared memory, copied asynchronously.
#include "kernels/cuda/gemm_operands.cuh"
#include "kernels/cuda/gemm_strips.cuh"
#include "kernels/cuda/gemm_table.h"
#include "kernels/cuda/ptx.h"

namespace kagami::gemm {

/// Blocks with blockIdx.z = z sum over k from z * step, at most `length` of it.
struct Range {
  int step, length;
};

/// Copies one source into shared memory, or zeros.
template <int Vector, class T>
__device__ __forceinline__ void copy(T* to, const Source<T>& source) {
  constexpr int bytes = Vector * sizeof(T);
  if constexpr (bytes == 16)
    ptx::cp_async_16(to, source.from, source.inside ? bytes : 0);
  else if constexpr (bytes == 8 || bytes == 4)
    ptx::cp_async_small<bytes>(to, source.from, source.inside ? bytes : 0);
  else if constexpr (Vector == 1)
    *to = source.inside ? *source.from : T(0.0f);
  else
    static_assert(Vector == 1, "no such copy");
}

/// One operand's way into shared memory: `Rows` rows of `Depth` elements of k at a time.
template <class Core, class Operand, int Rows, int Vector>
class Feed {
  static constexpr bool k_contiguous = Operand::k_contiguous;
  static constexpr int vector = Core::template vector<k_contiguous, Vector>;
  using Share =
      gemm::Share<k_contiguous ? Rows : Core::depth, k_contiguous ? Core::depth : Rows, vector, Core::threads>;

 public:
  __device__ Feed(const Operand& operand, int first_row, int first_k) : cursor_(operand, first_row, first_k) {}
  __device__ __forceinline__ void copy_next(typename Operand::Element* tile) {
#pragma unroll(Share::count <= 8 ? Share::count : 4)
    for (int i = 0; i < Share::count; ++i)
      copy<vector>(tile + Core::template offset<k_contiguous, Rows>(Share::line(i), Share::position()), cursor_.at(i));
    cursor_.advance(Core::depth);
  }

 private:
  typename Operand::template Cursor<Share> cursor_;
};

/// result = A B. Blocks of one row of tiles follow each other, so that they find A's rows in the cache.
template <class Core, int Vector, class A, class B, class Result>
__global__ void __launch_bounds__(Core::threads, 1) product(Range range, A a, B b, Result result) {
  using T = typename A::Element;
  auto& shared = dynamic_shared<typename Core::Storage>();
  const int z = static_cast<int>(blockIdx.z);
  a.select(z), b.select(z), result.select(z);
  const int across = (b.rows() + Core::columns - 1) / Core::columns;
  const int first_row = static_cast<int>(blockIdx.x) / across * Core::rows;
  const int first_column = static_cast<int>(blockIdx.x) % across * Core::columns;
  if (first_row >= a.rows()) return;
  const int first_k = range.step * z, depth = min(range.length, a.depth() - first_k);
  const int tiles = (depth + Core::depth - 1) / Core::depth;

  Feed<Core, A, Core::rows, Vector> feed_a(a, first_row, first_k);
  Feed<Core, B, Core::columns, Vector> feed_b(b, first_column, first_k);
  const auto fill = [&](int stage) {
    feed_a.copy_next(shared.a[stage]);
    feed_b.copy_next(shared.b[stage]);
  };
#pragma unroll
  for (int stage = 0; stage < Core::stages - 1; ++stage) {
    if (stage < tiles) fill(stage);
    ptx::cp_async_commit();
  }
  typename Core::Accumulator sum = {};
  for (int tile = 0, full = 0, free = Core::stages - 1; tile < tiles; ++tile) {
    ptx::cp_async_wait_group<Core::stages - 2>();
    __syncthreads();  // stage `full` has landed for all threads, and all have read stage `free`
    if (tile + Core::stages - 1 < tiles) fill(free);
    ptx::cp_async_commit();
    Core::template multiply<A::k_contiguous, B::k_contiguous, T>(sum, shared.a[full], shared.b[full]);
    full = full + 1 == Core::stages ? 0 : full + 1;
    free = free + 1 == Core::stages ? 0 : free + 1;
  }
  Core::store(sum, result, first_row, first_column);
  if constexpr (is_measured<Result>)
    if (result.means) Core::measure(sum, result, first_row, first_column);
}

/// For products over widened channels: of every `computed` columns of the product the first `kept` are a result's.
struct Channels {
  int computed = 1, kept = 1;
};

/// result = the sum of the splits' partial products [splits][rows][part_columns], in their order.
template <class T>
__global__ void __launch_bounds__(256)
    sum_partials(const float* partials, int splits, int part_columns, Channels channels, MatrixResult<T> result) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= std::int64_t{result.rows} * result.columns) return;
  const int row = static_cast<int>(i / result.columns), column = static_cast<int>(i % result.columns);
  const int from = column / channels.kept * channels.computed + column % channels.kept;
  partials += std::int64_t{row} * part_columns + from;
  float sum[1] = {0.0f};
  for (int split = 0; split < splits; ++split) sum[0] += partials[split * std::int64_t{result.rows} * part_columns];
  store(result, row, column, sum);
}

/// Sizes of a launch: rows (of the largest part), columns, and what gridDim.z counts.
template <class Core, int Vector, class A, class B, class Result>
void launch_product(Cuda device, int rows, int columns, int parts, Range range, const A& a, const B& b,
                    const Result& result) {
  const std::int64_t tiles =
      std::int64_t{(rows + Core::rows - 1) / Core::rows} * ((columns + Core::columns - 1) / Core::columns);
  launch<product<Core, Vector, A, B, Result>>(device,
                                              {static_cast<std::uint32_t>(tiles), 1, static_cast<std::uint32_t>(parts)},
                                              {Core::threads}, sizeof(typename Core::Storage), range, a, b, result);
}

/// One product, its sum over k cut into `plan.splits` parts whose results are then added in order.
template <class Core, int Vector, class A, class B, class T>
void launch_split(Cuda device, const Plan& plan, int k, const A& a, const B& b, const MatrixResult<T>& result,
                  Channels channels = {}) {
  const int length = plan.tiles_per_split * Core::depth, columns = result.columns / channels.kept * channels.computed;
  const std::int64_t part_size = std::int64_t{result.rows} * columns;
  const Scratch<float> partials(device.memory, static_cast<std::size_t>(plan.splits * part_size));
  const MatrixResult<float> parts{partials.data(), columns, part_size, result.rows, columns, columns % 4 == 0, {}};
  launch_product<Core, Vector>(device, result.rows, columns, plan.splits, Range{length, std::min(length, k)}, a, b,
                               parts);
  const std::int64_t size = std::int64_t{result.rows} * result.columns;
  launch<sum_partials<T>>(device, {static_cast<std::uint32_t>((size + 255) / 256)}, {256}, 0,
                          static_cast<const float*>(partials.data()), plan.splits, columns, channels, result);
}

}  // namespace kagami::gemm
