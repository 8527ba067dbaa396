#pragma once
// Moving elements: pieces of rows, permuted axes, chosen rows. Any element type; scatter_add_rows: float and double on
// the CPU. Adding to a bf16 rounds once.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// to[r, :] (+)= from[r, :] for `rows` rows of `length` elements; pitches are elements from one row to the next.
template <class T>
void copy_rows(Cpu device, std::int64_t rows, std::int64_t length, const T* from, std::int64_t from_pitch, T* to,
               std::int64_t to_pitch, Accumulate accumulate);

/// Axes of a permuted copy, outermost first: extents of the result, and the source's stride along each.
struct PermuteShape {
  static constexpr int max_axes = 6;
  int axes = 0;
  std::int64_t extent[max_axes], stride[max_axes];
};

/// Writes the result contiguously.
template <class T>
void permute(Cpu device, const PermuteShape& shape, const T* from, T* to);

/// to[o, j, :] = from[o, indices[j], :]; from is [outer, extent, inner], to [outer, count, inner].
template <class T>
void gather_rows(Cpu device, std::int64_t outer, std::int64_t extent, std::int64_t inner, const std::int32_t* indices,
                 std::int64_t count, const T* from, T* to);

/// to[o, indices[j], :] += from[o, j, :], for equal indices in the order of j.
template <class T>
void scatter_add_rows(Cpu device, std::int64_t outer, std::int64_t extent, std::int64_t inner,
                      const std::int32_t* indices, std::int64_t count, const T* from, T* to);

#if KAGAMI_HAS_CUDA
template <class T>
void copy_rows(Cuda device, std::int64_t rows, std::int64_t length, const T* from, std::int64_t from_pitch, T* to,
               std::int64_t to_pitch, Accumulate accumulate);
template <class T>
void permute(Cuda device, const PermuteShape& shape, const T* from, T* to);
template <class T>
void gather_rows(Cuda device, std::int64_t outer, std::int64_t extent, std::int64_t inner, const std::int32_t* indices,
                 std::int64_t count, const T* from, T* to);
/// `indices` may hold an index any number of times; finding equal ones takes count^2 / 32 steps of a warp.
template <class T>
void scatter_add_rows(Cuda device, std::int64_t outer, std::int64_t extent, std::int64_t inner,
                      const std::int32_t* indices, std::int64_t count, const T* from, T* to);
#endif

}  // namespace kagami
