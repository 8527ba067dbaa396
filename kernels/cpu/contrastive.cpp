#include "kernels/contrastive.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/cpu/contrastive_kernels.h"
#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/parallel.h"
#include "kernels/matmul.h"

namespace kagami {
namespace {

constexpr int row_tile = 64, column_tile = 512;
static_assert(row_tile % cpu::contrastive_padding == 0 && column_tile % cpu::contrastive_padding == 0);

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

template <class T>
const cpu::ContrastiveKernels<T>& kernels() {
  using namespace cpu;
  if constexpr (std::is_same_v<T, float>) {
    return select(baseline::contrastive_float, avx2::contrastive_float, avx512::contrastive_float);
  } else {
    return select(baseline::contrastive_double, avx2::contrastive_double, avx512::contrastive_double);
  }
}

int padded(int count) {
  constexpr int unit = cpu::contrastive_padding;
  return (count + unit - 1) / unit * unit;
}

/// S of rows [row, row + height) and `width` columns, its rows `column_tile` apart and padded: of keys from `column`
/// on, or of a queue.
template <class T>
struct Tile {
  bool of_keys;
  int row, height, column, width;
  const T* vectors;
  T* s;
  Accumulate accumulate;  // whether there were tiles of these rows before

  T* row_of(int r) const { return s + std::int64_t{r} * column_tile; }
  void pad(int r, T value) const { std::fill(row_of(r) + width, row_of(r) + padded(width), value); }
  /// Where row r's similarity to a key stands; null outside the tile.
  T* find(int r, int key) const {
    return of_keys && key >= column && key < column + width ? row_of(r) + key - column : nullptr;
  }
  /// Puts `value` in the place of keys that are no negatives.
  void mask(const ContrastiveShape& shape, int r, T value) const {
    if (!of_keys) return;
    if (shape.pairing == Pairing::own_key) std::fill_n(row_of(r), width, value);
    for (const int key : {row + r, shape.positive_of(row + r)})
      if (T* s = find(r, key); s && !shape.is_negative(row + r, key)) *s = value;
  }
};

/// Calls work(tile) for all that rows meet, in the order of columns; rows run in parallel.
template <class T, class F>
void for_each_tile(Cpu device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns, F&& work) {
  const std::size_t values = std::size_t(shape.rows) * shape.dim;
  const Scratch<T> scaled(device.memory, values);
  const T factor = static_cast<T>(1 / shape.temperature);
  for (std::size_t i = 0; i < values; ++i) scaled[i] = rows[i] * factor;
  cpu::parallel_for(shape.rows, row_tile, [&](std::int64_t first, std::int64_t last) {
    const Scratch<T> memory(device.memory, std::size_t{row_tile} * column_tile);
    const int row = static_cast<int>(first), height = static_cast<int>(last - first);
    Accumulate accumulate = Accumulate::no;
    const auto visit = [&](bool of_keys, const T* vectors, int begin, int end) {
      for (int column = begin; column < end; column += column_tile) {
        const Tile<T> tile{of_keys,
                           row,
                           height,
                           column,
                           std::min(column_tile, end - column),
                           vectors + std::int64_t{column} * shape.dim,
                           memory.data(),
                           accumulate};
        const MatmulShape product{
            .m = height, .n = tile.width, .k = shape.dim, .lda = shape.dim, .ldb = shape.dim, .ldc = column_tile};
        matmul(device, product, false, true, scaled.data() + first * shape.dim, tile.vectors, tile.s, Accumulate::no);
        work(tile);
        accumulate = Accumulate::yes;
      }
    };
    const bool own = shape.pairing == Pairing::own_key;
    visit(true, columns.keys, own ? row : 0, own ? row + height : shape.rows);
    visit(false, columns.queue, 0, shape.queue);
  });
}

template <class T>
struct RowState {
  LogSumExp<T> negatives;
  T positive = 0;
};

}  // namespace

template <class T>
void contrastive_forward(Cpu device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns,
                         T* log_sums, T* losses, T* correct) {
  const Scratch<RowState<T>> states(device.memory, static_cast<std::size_t>(shape.rows));
  std::fill_n(states.data(), states.size(), RowState<T>{});
  for_each_tile(device, shape, rows, columns, [&](const Tile<T>& tile) {
    for (int r = 0; r < tile.height; ++r) {
      RowState<T>& state = states[static_cast<std::size_t>(tile.row + r)];
      if (const T* positive = tile.find(r, shape.positive_of(tile.row + r))) state.positive = *positive;
      tile.mask(shape, r, -infinity<T>);
      tile.pad(r, -infinity<T>);
      kernels<T>().accumulate(tile.row_of(r), padded(tile.width), &state.negatives.largest, &state.negatives.sum);
    }
  });
  for (int i = 0; i < shape.rows; ++i) {
    const RowState<T>& state = states[static_cast<std::size_t>(i)];
    const ContrastiveRow<T> row = contrastive_row(state.positive, state.negatives);
    log_sums[i] = row.log_sum;
    losses[i] = row.loss;
    correct[i] = row.correct;
  }
}

template <class T>
void contrastive_backward(Cpu device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns,
                          const T* row_sums, const T* column_sums, T* d_rows) {
  const Scratch<T> sums(device.memory, static_cast<std::size_t>(padded(shape.rows)));
  if (column_sums) std::fill(std::copy_n(column_sums, shape.rows, sums.data()), sums.data() + sums.size(), T(0));
  const T terms = T((row_sums ? 1 : 0) + (column_sums ? 1 : 0));
  for_each_tile(device, shape, rows, columns, [&](const Tile<T>& tile) {
    const T* of_columns = column_sums && tile.of_keys ? sums.data() + tile.column : nullptr;
    for (int r = 0; r < tile.height; ++r) {
      const int i = tile.row + r;
      tile.pad(r, T(0));
      kernels<T>().weights(tile.row_of(r), padded(tile.width), row_sums ? row_sums[i] : infinity<T>, of_columns);
      T* positive = tile.find(r, shape.positive_of(i));
      const T of_positive = positive ? *positive - terms : T(0);
      tile.mask(shape, r, T(0));
      if (positive) *positive = of_positive;
    }
    const MatmulShape product{
        .m = tile.height, .n = shape.dim, .k = tile.width, .lda = column_tile, .ldb = shape.dim, .ldc = shape.dim};
    matmul(device, product, false, false, tile.s, tile.vectors, d_rows + std::int64_t{tile.row} * shape.dim,
           tile.accumulate);
  });
}

template void contrastive_forward(Cpu, const ContrastiveShape&, const float*, const Columns<float>&, float*, float*,
                                  float*);
template void contrastive_forward(Cpu, const ContrastiveShape&, const double*, const Columns<double>&, double*, double*,
                                  double*);
template void contrastive_backward(Cpu, const ContrastiveShape&, const float*, const Columns<float>&, const float*,
                                   const float*, float*);
template void contrastive_backward(Cpu, const ContrastiveShape&, const double*, const Columns<double>&, const double*,
                                   const double*, double*);

}  // namespace kagami
