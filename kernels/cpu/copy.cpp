#include "kernels/copy.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

constexpr std::int64_t grain = 1 << 14;  // elements of a piece of work

std::int64_t rows_per_piece(std::int64_t length) { return 1 + grain / (length + 1); }

}  // namespace

template <class T>
void copy_rows(Cpu, std::int64_t rows, std::int64_t length, const T* from, std::int64_t from_pitch, T* to,
               std::int64_t to_pitch, Accumulate accumulate) {
  cpu::parallel_for(rows, rows_per_piece(length), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const T* source = from + r * from_pitch;
      T* target = to + r * to_pitch;
      if (accumulate == Accumulate::yes) {
        for (std::int64_t i = 0; i < length; ++i)
          target[i] = T(static_cast<Wide<T>>(target[i]) + static_cast<Wide<T>>(source[i]));
      } else {
        std::copy_n(source, length, target);
      }
    }
  });
}

template <class T>
void permute(Cpu, const PermuteShape& shape, const T* from, T* to) {
  constexpr std::int64_t tile = 16;  // columns that neighbouring rows read together, while their cache lines are there
  const std::int64_t length = shape.extent[shape.axes - 1], step = shape.stride[shape.axes - 1];
  std::int64_t rows = 1;
  for (int axis = 0; axis + 1 < shape.axes; ++axis) rows *= shape.extent[axis];
  const auto row_start = [&](std::int64_t row) {
    std::int64_t at = 0;
    for (int axis = shape.axes - 2; axis >= 0; --axis) {
      at += row % shape.extent[axis] * shape.stride[axis];
      row /= shape.extent[axis];
    }
    return at;
  };
  constexpr std::int64_t together = 64;
  cpu::parallel_for(rows, std::max(together, rows_per_piece(length)), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; block += together) {
      const std::int64_t count = std::min(together, last - block);
      std::int64_t start[together];
      for (std::int64_t r = 0; r < count; ++r) start[r] = row_start(block + r);
      for (std::int64_t i0 = 0; i0 < length; i0 += step == 1 ? length : tile) {
        const std::int64_t end = step == 1 ? length : std::min(length, i0 + tile);
        for (std::int64_t r = 0; r < count; ++r)
          for (std::int64_t i = i0; i < end; ++i) to[(block + r) * length + i] = from[start[r] + i * step];
      }
    }
  });
}

template <class T>
void gather_rows(Cpu, std::int64_t outer, std::int64_t extent, std::int64_t inner, const std::int32_t* indices,
                 std::int64_t count, const T* from, T* to) {
  cpu::parallel_for(outer * count, rows_per_piece(inner), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row)
      std::copy_n(from + (row / count * extent + indices[row % count]) * inner, inner, to + row * inner);
  });
}

template <class T>
void scatter_add_rows(Cpu, std::int64_t outer, std::int64_t extent, std::int64_t inner, const std::int32_t* indices,
                      std::int64_t count, const T* from, T* to) {
  constexpr std::int64_t tile = 64;
  const std::int64_t tiles = (inner + tile - 1) / tile;
  cpu::parallel_for(outer * tiles, 1 + grain / (count * tile + 1), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t job = first; job < last; ++job) {
      const std::int64_t o = job / tiles, begin = job % tiles * tile, end = std::min(inner, begin + tile);
      for (std::int64_t j = 0; j < count; ++j) {
        const T* source = from + (o * count + j) * inner;
        T* target = to + (o * extent + indices[j]) * inner;
        for (std::int64_t i = begin; i < end; ++i) target[i] += source[i];
      }
    }
  });
}

template void copy_rows(Cpu, std::int64_t, std::int64_t, const float*, std::int64_t, float*, std::int64_t, Accumulate);
template void copy_rows(Cpu, std::int64_t, std::int64_t, const double*, std::int64_t, double*, std::int64_t,
                        Accumulate);
template void copy_rows(Cpu, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t, std::int32_t*, std::int64_t,
                        Accumulate);
template void copy_rows(Cpu, std::int64_t, std::int64_t, const std::uint8_t*, std::int64_t, std::uint8_t*, std::int64_t,
                        Accumulate);
template void copy_rows(Cpu, std::int64_t, std::int64_t, const bf16*, std::int64_t, bf16*, std::int64_t, Accumulate);

template void permute(Cpu, const PermuteShape&, const float*, float*);
template void permute(Cpu, const PermuteShape&, const double*, double*);
template void permute(Cpu, const PermuteShape&, const std::int32_t*, std::int32_t*);
template void permute(Cpu, const PermuteShape&, const std::uint8_t*, std::uint8_t*);
template void permute(Cpu, const PermuteShape&, const bf16*, bf16*);

template void gather_rows(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const float*, float*);
template void gather_rows(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const double*, double*);
template void gather_rows(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const std::int32_t*, std::int32_t*);
template void gather_rows(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                          const std::uint8_t*, std::uint8_t*);
template void gather_rows(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t, const bf16*,
                          bf16*);

template void scatter_add_rows(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                               const float*, float*);
template void scatter_add_rows(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, std::int64_t,
                               const double*, double*);

}  // namespace kagami
