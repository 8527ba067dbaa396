#pragma once
// The core of tensor-core products: bf16 or tf32 operands, sums in fp32. Tiles lie as they lie in memory, [row][k] or
// [k][row], in chunks of 16 bytes whose order within a line is swizzled so that no access has a bank conflict.
#include <type_traits>

#include "kernels/cuda/gemm.cuh"

namespace kagami::gemm {

/// Each warp computes a (16 MmaRows) x (8 MmaColumns) part of the tile.
template <class T, int WarpRows, int WarpColumns, int MmaRows, int MmaColumns, int Depth, int Stages>
struct Mma {
  static constexpr int rows = WarpRows * MmaRows * 16, columns = WarpColumns * MmaColumns * 8, depth = Depth;
  static constexpr int threads = WarpRows * WarpColumns * 32, stages = Stages;
  static constexpr int strip_rows = MmaRows * 16;
  static_assert(MmaColumns % 2 == 0);
  using Accumulator = float[MmaRows][MmaColumns][4];
  struct Storage {
    alignas(128) T a[Stages][rows * Depth];
    alignas(128) T b[Stages][columns * Depth];
  };
  template <bool KContiguous, int Vector>
  static constexpr int vector = Vector;

  /// Where element `position` of a line lies. ldmatrix reads one chunk of 8 lines at once; tf32 tiles that lie [k][row]
  /// are read word by word, from 4 lines and two neighbouring chunks.
  template <bool KContiguous, int Rows>
  __device__ static __forceinline__ int offset(int line, int position) {
    constexpr int length = KContiguous ? Depth : Rows, chunks = length / chunk;
    static_assert(chunks == 4 || chunks % 8 == 0);
    int swizzle = chunks == 4 ? line / 2 % 4 : line % 8;
    if constexpr (by_words<KContiguous>) swizzle = line % 4 * 2;
    return line * length + ((position / chunk) ^ swizzle) * chunk + position % chunk;
  }

  template <bool KContiguousA, bool KContiguousB, class>
  __device__ static __forceinline__ void multiply(Accumulator& sum, const T* a, const T* b) {
    const int first_row = warp() / WarpColumns * MmaRows * 16, first_column = warp() % WarpColumns * MmaColumns * 8;
#pragma unroll
    for (int k = 0; k < Depth; k += 2 * chunk) {
      std::uint32_t x[MmaRows][4], y[MmaColumns][2];
#pragma unroll
      for (int i = 0; i < MmaRows; ++i) load_a<KContiguousA>(x[i], a, first_row + i * 16, k);
#pragma unroll
      for (int j = 0; j < MmaColumns; j += 2) load_b<KContiguousB>(y[j], y[j + 1], b, first_column + j * 8, k);
#pragma unroll
      for (int i = 0; i < MmaRows; ++i)
#pragma unroll
        for (int j = 0; j < MmaColumns; ++j) {
          if constexpr (tf32)
            ptx::mma_m16n8k8_tf32(sum[i][j], x[i], y[j], sum[i][j]);
          else
            ptx::mma_m16n8k16_bf16(sum[i][j], x[i], y[j], sum[i][j]);
        }
    }
  }

  template <class Result>
  __device__ static __forceinline__ void store(const Accumulator& sum, const Result& result, int first_row,
                                               int first_column) {
#pragma unroll
    for (int i = 0; i < 2 * MmaRows; ++i)
#pragma unroll
      for (int j = 0; j < MmaColumns; ++j) {
        const float pair[2] = {sum[i / 2][j][i % 2 * 2], sum[i / 2][j][i % 2 * 2 + 1]};
        gemm::store(result, first_row + row_of(i), first_column + column_of(j), pair);
      }
  }

  template <class T_>
  __device__ static __forceinline__ void measure(const Accumulator& sum, const MeasuredResult<T_>& result,
                                                 int first_row, int first_column) {
#pragma unroll
    for (int j = 0; j < 2 * MmaColumns; ++j)
      measure_column<strip_rows, 2 * MmaRows>(
          result, first_row + warp() / WarpColumns * strip_rows, first_column + column_of(j / 2) + j % 2,
          [&](int i) { return first_row + row_of(i); }, [&](int i) { return sum[i / 2][j / 2][i % 2 * 2 + j % 2]; });
  }

 private:
  static constexpr bool tf32 = std::is_same_v<T, float>;
  static constexpr int chunk = 16 / sizeof(T);  // elements
  template <bool KContiguous>
  static constexpr bool by_words = tf32 && !KContiguous;

  __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  /// Where in the tile a thread's sums lie: its row i of 2 MmaRows, and the first column of its pair j.
  __device__ static int row_of(int i) { return warp() / WarpColumns * strip_rows + i * 8 + lane() / 4; }
  __device__ static int column_of(int j) { return (warp() % WarpColumns * MmaColumns + j) * 8 + lane() % 4 * 2; }

  __device__ static __forceinline__ std::uint32_t rounded(std::uint32_t bits) {
    return tf32 ? ptx::to_tf32(__int_as_float(static_cast<int>(bits))) : bits;
  }
  template <int Rows>
  __device__ static __forceinline__ std::uint32_t word(const T* tile, int row, int k) {
    std::uint32_t bits;
    std::memcpy(&bits, tile + offset<false, Rows>(k, row), sizeof bits);
    return bits;
  }

  /// The fragment of A's rows [row, row + 16) and two chunks of k.
  template <bool KContiguous>
  __device__ static __forceinline__ void load_a(std::uint32_t (&x)[4], const T* tile, int row, int k) {
    const int l = lane();
    if constexpr (by_words<KContiguous>) {
#pragma unroll
      for (int i = 0; i < 4; ++i) x[i] = word<rows>(tile, row + i % 2 * 8 + l / 4, k + i / 2 * 4 + l % 4);
    } else if constexpr (KContiguous) {
      ptx::ldmatrix_x4(x, tile + offset<true, rows>(row + l % 16, k + l / 16 * chunk));
    } else {
      ptx::ldmatrix_x4_trans(x, tile + offset<false, rows>(k + l / 16 * 8 + l % 8, row + l / 8 % 2 * 8));
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] = rounded(x[i]);
  }

  /// The fragments of B's columns [column, column + 8) and the 8 after them, two chunks of k.
  template <bool KContiguous>
  __device__ static __forceinline__ void load_b(std::uint32_t (&first)[2], std::uint32_t (&second)[2], const T* tile,
                                                int column, int k) {
    const int l = lane();
    std::uint32_t y[4];
    if constexpr (by_words<KContiguous>) {
#pragma unroll
      for (int i = 0; i < 4; ++i) y[i] = word<columns>(tile, column + i / 2 * 8 + l / 4, k + i % 2 * 4 + l % 4);
    } else if constexpr (KContiguous) {
      ptx::ldmatrix_x4(y, tile + offset<true, columns>(column + l / 16 * 8 + l % 8, k + l / 8 % 2 * chunk));
    } else {
      ptx::ldmatrix_x4_trans(y, tile + offset<false, columns>(k + l / 8 % 2 * 8 + l % 8, column + l / 16 * 8));
    }
    first[0] = rounded(y[0]), first[1] = rounded(y[1]), second[0] = rounded(y[2]), second[1] = rounded(y[3]);
  }
};

}  // namespace kagami::gemm
