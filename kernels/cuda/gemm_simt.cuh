#pragma once
// The core of exact fp32 products: fused multiply-adds on tiles that lie [k][row] in shared memory.
#include "kernels/cuda/gemm.cuh"

namespace kagami::gemm {

/// Each warp computes a (32 QuadRows) x (16 QuadColumns) part of the tile, each of its 8 x 4 lanes in quads of 4 x 4.
template <int WarpRows, int WarpColumns, int QuadRows, int QuadColumns, int Stages>
struct Simt {
  static constexpr int rows = WarpRows * QuadRows * 32, columns = WarpColumns * QuadColumns * 16, depth = 16;
  static constexpr int threads = WarpRows * WarpColumns * 32, stages = Stages;
  static constexpr int strip_rows = QuadRows * 32;
  using Accumulator = float[QuadRows][QuadColumns][4][4];
  struct Storage {
    alignas(16) float a[Stages][depth * (rows + 4)];
    alignas(16) float b[Stages][depth * (columns + 4)];
  };
  /// Tiles contiguous in k are transposed on their way, one element a copy.
  template <bool KContiguous, int Vector>
  static constexpr int vector = KContiguous ? 1 : Vector;

  template <bool KContiguous, int Rows>
  __device__ static __forceinline__ int offset(int line, int position) {
    return KContiguous ? position * (Rows + 4) + line : line * (Rows + 4) + position;
  }

  template <bool, bool, class>
  __device__ static __forceinline__ void multiply(Accumulator& sum, const float* a, const float* b) {
    a += row_of(0), b += column_of(0);
#pragma unroll
    for (int k = 0; k < depth; ++k) {
      Pack<float, 4> x[QuadRows], y[QuadColumns];
#pragma unroll
      for (int i = 0; i < QuadRows; ++i) x[i] = pack_at<4>(a + k * (rows + 4) + i * 32);
#pragma unroll
      for (int j = 0; j < QuadColumns; ++j) y[j] = pack_at<4>(b + k * (columns + 4) + j * 16);
#pragma unroll
      for (int i = 0; i < QuadRows; ++i)
#pragma unroll
        for (int j = 0; j < QuadColumns; ++j)
#pragma unroll
          for (int p = 0; p < 4; ++p)
#pragma unroll
            for (int q = 0; q < 4; ++q) sum[i][j][p][q] += x[i].v[p] * y[j].v[q];
    }
  }

  template <class Result>
  __device__ static __forceinline__ void store(const Accumulator& sum, const Result& result, int first_row,
                                               int first_column) {
#pragma unroll
    for (int i = 0; i < QuadRows; ++i)
#pragma unroll
      for (int p = 0; p < 4; ++p)
#pragma unroll
        for (int j = 0; j < QuadColumns; ++j)
          gemm::store(result, first_row + row_of(i) + p, first_column + column_of(j), sum[i][j][p]);
  }

  template <class T>
  __device__ static __forceinline__ void measure(const Accumulator& sum, const MeasuredResult<T>& result, int first_row,
                                                 int first_column) {
    const int strip = static_cast<int>(threadIdx.x) / 32 / WarpColumns;
#pragma unroll
    for (int j = 0; j < 4 * QuadColumns; ++j)
      measure_column<strip_rows, 4 * QuadRows>(
          result, first_row + strip * strip_rows, first_column + column_of(j / 4) + j % 4,
          [&](int i) { return first_row + row_of(i / 4) + i % 4; },
          [&](int i) { return sum[i / 4][j / 4][i % 4][j % 4]; });
  }

 private:
  __device__ static int row_of(int quad) {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    return (warp / WarpColumns * QuadRows + quad) * 32 + lane / 4 * 4;
  }
  __device__ static int column_of(int quad) {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    return (warp % WarpColumns * QuadColumns + quad) * 16 + lane % 4 * 4;
  }
};

}  // namespace kagami::gemm
