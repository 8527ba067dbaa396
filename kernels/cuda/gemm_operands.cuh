#pragma once
// Operands and results of the products of gemm.cuh: where the elements of a tile lie in global memory. An operand has
//   k_contiguous    whether neighbours in memory are neighbours in k (else neighbouring rows of the operand)
//   select(z)       narrows it to the part that blocks with blockIdx.z = z work on
//   rows(), depth() its extents in rows and in k
//   Cursor<Share>   follows one thread's share of the tiles through k: at(i) is the source of its copy i, advance(n)
//                   goes n further in k
// Both operands of C = A B are seen as [row][k]: rows of A are rows of C, rows of B are columns of C.
#include <type_traits>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/ptx.h"

namespace kagami::gemm {

using cuda::on_boundary, cuda::Pack, cuda::pack_at;

/// One thread's share of a tile of `Lines` lines of `Length` contiguous elements, copied `Vector` elements at a time.
template <int Lines, int Length, int Vector, int Threads>
struct Share {
  static constexpr int vector = Vector, per_line = Length / Vector, step = Threads / per_line, count = Lines / step;
  static_assert(Length % Vector == 0 && Threads % per_line == 0 && Lines % step == 0);
  __device__ static int line(int i) { return static_cast<int>(threadIdx.x) / per_line + i * step; }
  __device__ static int position() { return static_cast<int>(threadIdx.x) % per_line * Vector; }
};

/// Where a copy reads; outside the operand it writes zeros.
template <class T>
struct Source {
  const T* from;
  bool inside;
};

/// A matrix in memory, `ld` elements from one line to the next. Lines run along k (KContiguous) or along rows.
template <class T, bool KContiguous>
struct Matrix {
  using Element = T;
  static constexpr bool k_contiguous = KContiguous;
  const T* data;
  std::int64_t ld, stride;
  int row_count, k;

  __device__ void select(int z) { data += z * stride; }
  __device__ int rows() const { return row_count; }
  __device__ int depth() const { return k; }

  template <class Share>
  class Cursor {
   public:
    __device__ Cursor(const Matrix& matrix, int first_row, int first_k)
        : data_(matrix.data),
          ld_(matrix.ld),
          lines_(KContiguous ? matrix.row_count : matrix.k),
          length_(KContiguous ? matrix.k : matrix.row_count),
          line_((KContiguous ? first_row : first_k) + Share::line(0)),
          position_((KContiguous ? first_k : first_row) + Share::position()) {}
    __device__ __forceinline__ Source<T> at(int i) const {
      const int line = line_ + i * Share::step;
      const bool inside = line < lines_ && position_ < length_;
      return {data_ + (inside ? line * ld_ + position_ : 0), inside};
    }
    __device__ __forceinline__ void advance(int n) { (KContiguous ? position_ : line_) += n; }

   private:
    const T* data_;
    std::int64_t ld_;
    int lines_, length_, line_, position_;
  };
};

/// What is done to a product before it is stored: v scale[column] + bias[column] + what lies there in `added`, then
/// ReLU.
template <class T>
struct Epilogue {
  const float *scale = nullptr, *bias = nullptr;  ///< null: 1, 0
  const T* added = nullptr;  ///< laid out as the result: a residual, or the result itself to accumulate; or null
  bool relu = false;
};

template <class T>
Epilogue<T> accumulating(const T* result, Accumulate accumulate) {
  return {.added = accumulate == Accumulate::yes ? result : nullptr};
}

/// A result in memory, `ld` elements from one row to the next.
template <class T>
struct MatrixResult {
  using Element = T;
  T* data;
  std::int64_t ld, stride;
  int rows, columns;
  bool aligned;  ///< four elements at a column divisible by four can be accessed at once, of `added` too
  Epilogue<T> epilogue;

  KAGAMI_HD void select(int z) {
    data += z * stride;
    if (epilogue.added) epilogue.added += z * stride;
  }
  /// The row in memory; null when there is none.
  __device__ T* row(int i) const { return i < rows ? data + i * ld : nullptr; }
};

template <class T>
__device__ __forceinline__ T rounded(float x) {
  if constexpr (std::is_same_v<T, bf16>)
    return ptx::to_bf16(x);
  else
    return x;
}

/// result[row][column + i] = v[i] after the epilogue, for the columns that exist.
template <int N, class Result>
__device__ __forceinline__ void store(const Result& result, int row, int column, const float (&v)[N]) {
  using T = typename Result::Element;
  const Epilogue<T>& epilogue = result.epilogue;
  T* to = result.row(row);
  if (!to || column >= result.columns) return;
  to += column;
  const T* added = epilogue.added ? epilogue.added + (to - result.data) : nullptr;
  const int count = min(N, result.columns - column);
  const auto finished = [&](int i, float before) {
    float value = epilogue.scale ? v[i] * epilogue.scale[column + i] : v[i];
    if (epilogue.bias) value += epilogue.bias[column + i];
    value += before;
    return rounded<T>(epilogue.relu && 0 > value ? 0.0f : value);  // keeps NaN
  };
  if (result.aligned && count == N) {
    Pack<T, N> before = {}, pack;
    if (added) before = pack_at<N>(added);
#pragma unroll
    for (int i = 0; i < N; ++i) pack.v[i] = finished(i, float(before.v[i]));
    pack_at<N>(to) = pack;
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (i < count) to[i] = finished(i, added ? float(added[i]) : 0.0f);
  }
}

}  // namespace kagami::gemm
