#pragma once
// Statistics of a result for the batch norm that follows, gathered while the result is stored. A warp measures the rows
// it stores (a strip) in registers: no shared memory, no atomics, an order that only the tile decides.
#include "kernels/cuda/gemm_operands.cuh"

namespace kagami::gemm {

/// A matrix whose strips are measured where `means` is not null: mean and sum of squared deviations of every strip's
/// columns, each [strips, columns]. Its epilogue is empty then.
template <class T>
struct MeasuredResult : MatrixResult<T> {
  float *means = nullptr, *squares = nullptr;
};
template <class Result>
constexpr bool is_measured = false;
template <class T>
constexpr bool is_measured<MeasuredResult<T>> = true;

/// The sum over the lanes that hold the same columns: those that agree in lane % 4.
__device__ __forceinline__ float sum_of_lanes(float v) {
#pragma unroll
  for (int step = 4; step < 32; step *= 2) v += __shfl_xor_sync(~0U, v, step);
  return v;
}

/// Measures one column of a strip of StripRows rows from `first_row` on. value(i) is this thread's value i of N, in row
/// row(i). The whole warp calls it.
template <int StripRows, int N, class T, class Row, class Value>
__device__ __forceinline__ void measure_column(const MeasuredResult<T>& result, int first_row, int column, Row row,
                                               Value value) {
  const int count = min(StripRows, result.rows - first_row);
  if (count <= 0) return;
  float sum = 0, square = 0;
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (row(i) < result.rows) sum += float(rounded<T>(value(i)));
  const float mean = sum_of_lanes(sum) / static_cast<float>(count);
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (row(i) < result.rows) {
      const float d = float(rounded<T>(value(i))) - mean;
      square += d * d;
    }
  square = sum_of_lanes(square);
  if (threadIdx.x % 32 >= 4 || column >= result.columns) return;
  const std::int64_t at = std::int64_t{first_row / StripRows} * result.columns + column;
  result.means[at] = mean;
  result.squares[at] = square;
}

}  // namespace kagami::gemm
