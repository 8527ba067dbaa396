// Copies move words as wide as alignment allows, whatever the element type.
#include "kernels/copy.h"

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/runtime.h"

namespace kagami {
namespace {

using cuda::element_step;
using cuda::first_element;
using cuda::launch_elements;
using cuda::place_of;

/// Which words divide all the addresses and byte counts or-ed into `bits`.
template <class F>
void with_widest_word(std::uint64_t bits, F&& f) {
  if (bits % sizeof(uint4) == 0) return f(uint4{});
  if (bits % sizeof(uint2) == 0) return f(uint2{});
  if (bits % sizeof(std::uint32_t) == 0) return f(std::uint32_t{});
  if (bits % sizeof(std::uint16_t) == 0) return f(std::uint16_t{});
  return f(std::uint8_t{});
}

template <class T>
std::uint64_t bytes(std::int64_t count) {
  return static_cast<std::uint64_t>(count) * sizeof(T);
}
std::uint64_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

/// A number of elements T as a number of words.
template <class Word, class T>
std::int64_t words(std::int64_t count) {
  return count * static_cast<std::int64_t>(sizeof(T)) / static_cast<std::int64_t>(sizeof(Word));
}
template <class Word, class T>
const Word* as_words(const T* p) {
  return reinterpret_cast<const Word*>(p);
}
template <class Word, class T>
Word* as_words(T* p) {
  return reinterpret_cast<Word*>(p);
}

template <class Word>
__global__ void copy_rows_kernel(std::int64_t count, std::int64_t length, const Word* from, std::int64_t from_pitch,
                                 Word* to, std::int64_t to_pitch) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const cuda::Place at = place_of(i, length);
    to[at.row * to_pitch + at.column] = from[at.row * from_pitch + at.column];
  }
}

template <class T>
__global__ void add_rows_kernel(std::int64_t count, std::int64_t length, const T* from, std::int64_t from_pitch, T* to,
                                std::int64_t to_pitch) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const cuda::Place at = place_of(i, length);
    cuda::put(to[at.row * to_pitch + at.column], static_cast<Wide<T>>(from[at.row * from_pitch + at.column]),
              Accumulate::yes);
  }
}

/// Where a row of the result begins in the source: a row is what the last axis runs over.
__device__ std::int64_t permuted_start(const PermuteShape& shape, std::int64_t row) {
  std::int64_t start = 0;
  for (int axis = shape.axes - 2; axis >= 0; --axis) {
    const cuda::Place at = place_of(row, shape.extent[axis]);
    start += at.column * shape.stride[axis];
    row = at.row;
  }
  return start;
}

template <class Word>
__global__ void permute_kernel(const __grid_constant__ PermuteShape shape, std::int64_t count, const Word* from,
                               Word* to) {
  const std::int64_t length = shape.extent[shape.axes - 1], step = shape.stride[shape.axes - 1];
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const cuda::Place at = place_of(i, length);
    to[i] = from[permuted_start(shape, at.row) + at.column * step];
  }
}

constexpr int tile = 32, tile_rows = 8;  // a block's square of a transposition, and how many of its rows move at once

/// A permutation as many transpositions: [height, width] with the width contiguous becomes [width, height].
struct Transposition {
  std::int64_t height, width;
  std::int64_t from_step, to_step;  ///< from one row to the next
  std::int64_t row_tiles, column_tiles;
  PermuteShape others;  ///< the remaining axes
  std::int64_t to_stride[PermuteShape::max_axes];
};

template <class Word>
__global__ void transpose_kernel(const __grid_constant__ Transposition t, const Word* from, Word* to) {
  KAGAMI_SHARED(square, Word[tile][tile + 1]);
  cuda::Place at = place_of(blockIdx.x, t.column_tiles);
  const std::int64_t left = at.column * tile;
  at = place_of(at.row, t.row_tiles);
  const std::int64_t top = at.column * tile;
  std::int64_t which = at.row;
  for (int axis = t.others.axes - 1; axis >= 0; --axis) {
    at = place_of(which, t.others.extent[axis]);
    from += at.column * t.others.stride[axis];
    to += at.column * t.to_stride[axis];
    which = at.row;
  }
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  for (int k = y; k < tile; k += tile_rows)
    if (top + k < t.height && left + x < t.width) square[k][x] = from[(top + k) * t.from_step + left + x];
  __syncthreads();
  for (int k = y; k < tile; k += tile_rows)
    if (left + k < t.width && top + x < t.height) to[(left + k) * t.to_step + top + x] = square[x][k];
}

/// The axis whose neighbours are neighbours in the source, where a transposition pays; otherwise -1.
int transposed_axis(const PermuteShape& shape) {
  constexpr std::int64_t worthwhile = 8;
  const int last = shape.axes - 1;
  if (shape.stride[last] == 1 || shape.extent[last] < worthwhile) return -1;
  for (int axis = 0; axis < last; ++axis)
    if (shape.stride[axis] == 1 && shape.extent[axis] >= worthwhile) return axis;
  return -1;
}

Transposition transposition(const PermuteShape& shape, int axis) {
  const int last = shape.axes - 1;
  Transposition t{};
  t.height = shape.extent[last];
  t.width = shape.extent[axis];
  t.from_step = shape.stride[last];
  t.row_tiles = (t.height + tile - 1) / tile;
  t.column_tiles = (t.width + tile - 1) / tile;
  std::int64_t to_stride[PermuteShape::max_axes] = {}, next = 1;
  for (int a = last; a >= 0; --a) {
    to_stride[a] = next;
    next *= shape.extent[a];
  }
  t.to_step = to_stride[axis];
  for (int a = 0; a < last; ++a) {
    if (a == axis) continue;
    const int o = t.others.axes++;
    t.others.extent[o] = shape.extent[a];
    t.others.stride[o] = shape.stride[a];
    t.to_stride[o] = to_stride[a];
  }
  return t;
}

template <class Word>
__global__ void gather_rows_kernel(std::int64_t total, std::int64_t extent, std::int64_t inner,
                                   const std::int32_t* indices, std::int64_t count, const Word* from, Word* to) {
  for (std::int64_t i = first_element(); i < total; i += element_step()) {
    const cuda::Place at = place_of(i, inner), row = place_of(at.row, count);
    to[i] = from[(row.row * extent + indices[row.column]) * inner + at.column];
  }
}

/// The rows of equal index, as a chain in the order of their numbers.
struct Link {
  std::int32_t first;  ///< whether no row before has this index
  std::int32_t next;   ///< the next row with this index, or the number of rows
};

constexpr int link_warps = 8;

/// A warp finds one row's link.
__global__ void link_equal_rows(const std::int32_t* indices, std::int32_t count, Link* links) {
  constexpr int lanes = 32;
  const auto row = static_cast<std::int32_t>(blockIdx.x * link_warps + threadIdx.x / lanes);
  if (row >= count) return;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const std::int32_t index = indices[row];
  Link link{1, count};
  for (std::int32_t begin = 0; begin < count && link.next == count; begin += lanes) {
    const bool equal = begin + lane < count && indices[begin + lane] == index;
    const bool before = __any_sync(~0U, equal && begin + lane < row);
    const std::uint32_t after = __ballot_sync(~0U, equal && begin + lane > row);
    if (before) link.first = 0;
    if (after != 0) link.next = begin + __ffs(static_cast<int>(after)) - 1;
  }
  if (lane == 0) links[row] = link;
}

/// A thread adds up one element of all rows of one index: it starts from the first and follows the chain.
template <class T>
__global__ void scatter_add_kernel(std::int64_t total, std::int64_t extent, std::int64_t inner,
                                   const std::int32_t* indices, std::int64_t count, const Link* links, const T* from,
                                   T* to) {
  for (std::int64_t i = first_element(); i < total; i += element_step()) {
    const cuda::Place at = place_of(i, inner), row = place_of(at.row, count);
    if (!links[row.column].first) continue;
    T& target = to[(row.row * extent + indices[row.column]) * inner + at.column];
    auto sum = static_cast<Wide<T>>(target);
    for (std::int64_t j = row.column; j < count; j = links[j].next)
      sum += static_cast<Wide<T>>(from[(row.row * count + j) * inner + at.column]);
    target = T(sum);
  }
}

}  // namespace

template <class T>
void copy_rows(Cuda device, std::int64_t rows, std::int64_t length, const T* from, std::int64_t from_pitch, T* to,
               std::int64_t to_pitch, Accumulate accumulate) {
  if (rows <= 0 || length <= 0) return;
  if (accumulate == Accumulate::yes)
    return launch_elements<add_rows_kernel<T>>(device, rows * length, rows * length, length, from, from_pitch, to,
                                               to_pitch);
  if (rows == 1 || (from_pitch == length && to_pitch == length))
    return cuda::copy(to, from, bytes<T>(rows * length), device.stream);
  const std::uint64_t bits = address(from) | address(to) | bytes<T>(length) | bytes<T>(from_pitch) | bytes<T>(to_pitch);
  with_widest_word(bits, [&](auto zero) {
    using Word = decltype(zero);
    const std::int64_t width = words<Word, T>(length);
    launch_elements<copy_rows_kernel<Word>>(device, rows * width, rows * width, width, as_words<Word>(from),
                                            words<Word, T>(from_pitch), as_words<Word>(to), words<Word, T>(to_pitch));
  });
}

template <class T>
void permute(Cuda device, const PermuteShape& shape, const T* from, T* to) {
  const int last = shape.axes - 1;
  std::int64_t count = 1;
  for (int axis = 0; axis <= last; ++axis) count *= shape.extent[axis];
  if (count <= 0) return;
  std::uint64_t bits = address(from) | address(to) | bytes<T>(1);
  const int axis = transposed_axis(shape);
  if (axis >= 0)
    return with_widest_word(bits, [&](auto zero) {
      using Word = decltype(zero);
      const Transposition t = transposition(shape, axis);
      const std::int64_t blocks = count / (t.height * t.width) * t.row_tiles * t.column_tiles;
      launch<transpose_kernel<Word>>(device, dim3{static_cast<std::uint32_t>(blocks)}, dim3{tile, tile_rows}, 0, t,
                                     as_words<Word>(from), as_words<Word>(to));
    });
  const bool in_rows = shape.stride[last] == 1;  // wide words then hold several elements
  if (in_rows) {
    bits = address(from) | address(to) | bytes<T>(shape.extent[last]);
    for (int a = 0; a < last; ++a) bits |= bytes<T>(shape.stride[a]);
  }
  with_widest_word(bits, [&](auto zero) {
    using Word = decltype(zero);
    PermuteShape of_words = shape;
    if (in_rows) {
      of_words.extent[last] = words<Word, T>(shape.extent[last]);
      for (int a = 0; a < last; ++a) of_words.stride[a] = words<Word, T>(shape.stride[a]);
    }
    const std::int64_t total = words<Word, T>(count);
    launch_elements<permute_kernel<Word>>(device, total, of_words, total, as_words<Word>(from), as_words<Word>(to));
  });
}

template <class T>
void gather_rows(Cuda device, std::int64_t outer, std::int64_t extent, std::int64_t inner, const std::int32_t* indices,
                 std::int64_t count, const T* from, T* to) {
  with_widest_word(address(from) | address(to) | bytes<T>(inner), [&](auto zero) {
    using Word = decltype(zero);
    const std::int64_t width = words<Word, T>(inner), total = outer * count * width;
    launch_elements<gather_rows_kernel<Word>>(device, total, total, extent, width, indices, count, as_words<Word>(from),
                                              as_words<Word>(to));
  });
}

template <class T>
void scatter_add_rows(Cuda device, std::int64_t outer, std::int64_t extent, std::int64_t inner,
                      const std::int32_t* indices, std::int64_t count, const T* from, T* to) {
  const std::int64_t total = outer * count * inner;
  if (total <= 0) return;
  const Scratch<Link> links(device.memory, static_cast<std::size_t>(count));
  const auto blocks = static_cast<std::uint32_t>((count + link_warps - 1) / link_warps);
  launch<link_equal_rows>(device, dim3{blocks}, dim3{link_warps * 32}, 0, indices, static_cast<std::int32_t>(count),
                          links.data());
  launch_elements<scatter_add_kernel<T>>(device, total, total, extent, inner, indices, count,
                                         static_cast<const Link*>(links.data()), from, to);
}

template void copy_rows(Cuda, std::int64_t, std::int64_t, const float*, std::int64_t, float*, std::int64_t, Accumulate);
template void permute(Cuda, const PermuteShape&, const float*, float*);
template void gather_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const float*, float*);
template void scatter_add_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                               const float*, float*);

template void copy_rows(Cuda, std::int64_t, std::int64_t, const double*, std::int64_t, double*, std::int64_t,
                        Accumulate);
template void permute(Cuda, const PermuteShape&, const double*, double*);
template void gather_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const double*, double*);
template void scatter_add_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                               const double*, double*);

template void copy_rows(Cuda, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t, std::int32_t*,
                        std::int64_t, Accumulate);
template void permute(Cuda, const PermuteShape&, const std::int32_t*, std::int32_t*);
template void gather_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const std::int32_t*, std::int32_t*);

template void copy_rows(Cuda, std::int64_t, std::int64_t, const std::uint8_t*, std::int64_t, std::uint8_t*,
                        std::int64_t, Accumulate);
template void permute(Cuda, const PermuteShape&, const std::uint8_t*, std::uint8_t*);
template void gather_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const std::uint8_t*, std::uint8_t*);

template void copy_rows(Cuda, std::int64_t, std::int64_t, const bf16*, std::int64_t, bf16*, std::int64_t, Accumulate);
template void permute(Cuda, const PermuteShape&, const bf16*, bf16*);
template void gather_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const bf16*, bf16*);
template void scatter_add_rows(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                               const bf16*, bf16*);

}  // namespace kagami
