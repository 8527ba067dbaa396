#include "kernels/ntxent.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/ntxent_kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/matmul.h"

namespace kagami {
namespace {

constexpr int row_tile = 64, column_tile = 512;
static_assert(column_tile % cpu::ntxent_padding == 0);

template <class T>
const cpu::NtXentKernels<T>& kernels() {
  using namespace cpu;
  if constexpr (std::is_same_v<T, float>) {
    return select(baseline::ntxent_float, avx2::ntxent_float, avx512::ntxent_float);
  } else {
    return select(baseline::ntxent_double, avx2::ntxent_double, avx512::ntxent_double);
  }
}

std::size_t padded(std::int64_t count) {
  return static_cast<std::size_t>((count + cpu::ntxent_padding - 1) / cpu::ntxent_padding * cpu::ntxent_padding);
}

/// Rows [row, row + height) and columns [column, column + width) of S, `column_tile` apart.
template <class T>
struct Tile {
  int row, height, column, width;
  T* s;
  T* row_of(int r) const { return s + std::int64_t{r} * column_tile; }
  bool has_column(int j) const { return j >= column && j < column + width; }
};

/// Calls work(tile) for the tiles of every row in the order of columns; rows run in parallel.
template <class T, class F>
void for_each_tile(Cpu device, const NtXentShape& shape, const T* unit, F&& work) {
  const std::size_t values = std::size_t(shape.rows) * shape.dim;
  const Scratch<T> scaled(device.memory, values);
  const T factor = static_cast<T>(1 / shape.temperature);
  for (std::size_t i = 0; i < values; ++i) scaled[i] = unit[i] * factor;
  cpu::parallel_for(shape.rows, row_tile, [&](std::int64_t first, std::int64_t last) {
    const Scratch<T> memory(device.memory, std::size_t{row_tile} * column_tile);
    for (std::int64_t row = first; row < last; row += row_tile) {
      for (int column = 0; column < shape.rows; column += column_tile) {
        const Tile<T> tile{static_cast<int>(row), static_cast<int>(std::min<std::int64_t>(row_tile, last - row)),
                           column, std::min(column_tile, shape.rows - column), memory.data()};
        const MatmulShape product{
            .m = tile.height, .n = tile.width, .k = shape.dim, .lda = shape.dim, .ldb = shape.dim, .ldc = column_tile};
        matmul(device, product, false, true, scaled.data() + row * shape.dim, unit + std::int64_t{column} * shape.dim,
               tile.s, Accumulate::no);
        work(tile);
      }
    }
  });
}

template <class T>
struct RowState {
  LogSumExp<T> negatives;
  T positive = 0;
};

}  // namespace

template <class T>
void ntxent_forward(Cpu device, const NtXentShape& shape, const T* unit, T* log_sums, T* losses, T* correct) {
  constexpr T nothing = -std::numeric_limits<T>::infinity();
  const Scratch<RowState<T>> states(device.memory, static_cast<std::size_t>(shape.rows));
  std::fill_n(states.data(), states.size(), RowState<T>{});
  for_each_tile(device, shape, unit, [&](const Tile<T>& tile) {
    for (int r = 0; r < tile.height; ++r) {
      const int i = tile.row + r, positive = shape.positive_of(i);
      RowState<T>& state = states[static_cast<std::size_t>(i)];
      T* s = tile.row_of(r);
      std::fill(s + tile.width, s + padded(tile.width), nothing);
      if (tile.has_column(i)) s[i - tile.column] = nothing;
      if (tile.has_column(positive)) state.positive = std::exchange(s[positive - tile.column], nothing);
      kernels<T>().accumulate(s, static_cast<std::int64_t>(padded(tile.width)), &state.negatives.largest,
                              &state.negatives.sum);
    }
  });
  for (int i = 0; i < shape.rows; ++i) {
    const RowState<T>& state = states[static_cast<std::size_t>(i)];
    const NtXentRow<T> row = ntxent_row(state.positive, state.negatives);
    log_sums[i] = row.log_sum;
    losses[i] = row.loss;
    correct[i] = row.correct;
  }
}

template <class T>
void ntxent_backward(Cpu device, const NtXentShape& shape, const T* unit, const T* log_sums, T* d_unit) {
  const Scratch<T> sums(device.memory, padded(shape.rows));
  std::fill(std::copy_n(log_sums, shape.rows, sums.data()), sums.data() + sums.size(), T(0));
  for_each_tile(device, shape, unit, [&](const Tile<T>& tile) {
    for (int r = 0; r < tile.height; ++r) {
      const int i = tile.row + r, positive = shape.positive_of(i);
      T* s = tile.row_of(r);
      std::fill(s + tile.width, s + padded(tile.width), T(0));
      kernels<T>().weights(s, static_cast<std::int64_t>(padded(tile.width)), log_sums[i], sums.data() + tile.column);
      if (tile.has_column(i)) s[i - tile.column] = 0;
      if (tile.has_column(positive)) s[positive - tile.column] -= 2;
    }
    const MatmulShape product{
        .m = tile.height, .n = shape.dim, .k = tile.width, .lda = column_tile, .ldb = shape.dim, .ldc = shape.dim};
    matmul(device, product, false, false, tile.s, unit + std::int64_t{tile.column} * shape.dim,
           d_unit + std::int64_t{tile.row} * shape.dim, tile.column == 0 ? Accumulate::no : Accumulate::yes);
  });
}

template void ntxent_forward(Cpu, const NtXentShape&, const float*, float*, float*, float*);
template void ntxent_forward(Cpu, const NtXentShape&, const double*, double*, double*, double*);
template void ntxent_backward(Cpu, const NtXentShape&, const float*, const float*, float*);
template void ntxent_backward(Cpu, const NtXentShape&, const double*, const double*, double*);

}  // namespace kagami
