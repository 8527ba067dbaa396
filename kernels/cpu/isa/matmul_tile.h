#pragma once
// The register tile every product of the CPU back end is made of, and what its operands are packed with. A tile is up
// to tile_rows rows by one or two vectors of the result: it stays in registers while one value of A after the other is
// broadcast against a row of B.
#include <utility>

#include "kernels/cpu/isa/vector.h"

namespace kagami::cpu::KAGAMI_ISA {

constexpr int tile_rows = registers == 32 ? 14 : 6;  // 2 vectors a row, 2 of B and one of A must fit the registers
constexpr int panel_width = 2 * lanes;               // columns of B that are packed together

template <class T>
KAGAMI_INLINE constexpr T smaller(T a, T b) {
  return b < a ? b : a;
}
template <class T>
KAGAMI_INLINE T larger(T a, T b) {
  return a < b ? b : a;
}
KAGAMI_INLINE int divide_up(std::int64_t a, std::int64_t b) { return static_cast<int>((a + b - 1) / b); }

/// `count` things cut into the fewest equal groups of at most `most`: 64 rows make 5 groups of 12 or 13, because 4 of
/// 14 and one of 8 would leave the last tile half empty.
struct Groups {
  std::int64_t things;
  int count;
  KAGAMI_INLINE Groups(std::int64_t things, int most) : things(things), count(divide_up(things, most)) {}
  KAGAMI_INLINE int begin(int group) const { return static_cast<int>(things * group / count); }
  KAGAMI_INLINE int size(int group) const { return begin(group + 1) - begin(group); }
};

/// How the rows of A that share a tile lie: `rows`: packed, [k / lanes][row][lanes]; `columns`: [k][row], some distance
/// from one k to the next.
enum class Layout { rows, columns };

/// s += a b for one position of the sum; row(i) is where the value of A of row i lies.
template <int R, int vectors, class Row>
KAGAMI_INLINE void multiply_add(Float (&s)[R][vectors], Row row, const float* b) {
  Float w[vectors];
#pragma GCC unroll 2
  for (int j = 0; j < vectors; ++j) w[j] = load(b + j * lanes);
#pragma GCC unroll 27
  for (int i = 0; i < R; ++i) {
    const Float v = broadcast(*row(i));
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) s[i][j] += v * w[j];
  }
}

/// Memory that a tile fetches while it computes, for those that come next: `lines` cache lines from `first` on for
/// every `lanes` values of k.
struct Ahead {
  const float* first = nullptr;
  int lines = 0;
};

/// c[row][vector] = (add ? c : 0) + sum over k of a[row][k] b[k][vector]. The sum begins at zero and c is added last: a
/// long sum, cut into pieces, rounds as several short ones (so do the other tiles). c lies at row * row_step + vector *
/// vector_step and b is [k][vectors * lanes]. `a_step`: for Layout::columns the distance of values of k; for
/// Layout::rows how far ahead A is prefetched, 0 for not at all. `ahead` is fetched with Layout::rows only.
template <int R, int vectors, Layout layout>
void tile(const float* a, const float* b, int k, float* c, std::ptrdiff_t row_step, std::ptrdiff_t vector_step,
          bool add, std::ptrdiff_t a_step, Ahead ahead) {
  Float s[R][vectors] = {};
  if constexpr (layout == Layout::columns) {
    for (; k > 0; --k, a += a_step, b += vectors * lanes)
      multiply_add<R, vectors>(
          s, [&](int i) { return a + i; }, b);
  } else {
    for (; k > 0; k -= lanes, a += R * lanes) {
      if (a_step != 0)
#pragma GCC unroll 14
        for (int i = 0; i < R; ++i) __builtin_prefetch(a + a_step + i * lanes, 0, 2);
      for (int i = 0; i < ahead.lines; ++i, ahead.first += 16) __builtin_prefetch(ahead.first, 0, 2);
      const int count = smaller(k, lanes);
      for (int i = 0; i < count; ++i, b += vectors * lanes)
        multiply_add<R, vectors>(
            s, [&](int row) { return a + row * lanes + i; }, b);
    }
  }
  if (add)
#pragma GCC unroll 14
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) s[i][j] += load(c + i * row_step + j * vector_step);
#pragma GCC unroll 14
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) store(c + i * row_step + j * vector_step, s[i][j]);
}

using Tile = void (*)(const float*, const float*, int, float*, std::ptrdiff_t, std::ptrdiff_t, bool, std::ptrdiff_t,
                      Ahead);

/// The tiles of 1, 2, ... tile_rows rows.
template <Layout layout, int vectors>
struct Tiles {
  Tile by_rows[tile_rows];
  template <int... R>
  constexpr explicit Tiles(std::integer_sequence<int, R...>) : by_rows{tile<R + 1, vectors, layout>...} {}
};
template <Layout layout, int vectors>
inline constexpr Tiles<layout, vectors> tiles{std::make_integer_sequence<int, tile_rows>()};

/// The tile of `rows` rows by `width` columns (lanes or panel_width).
template <Layout layout>
KAGAMI_INLINE Tile tile_of(int rows, int width) {
  return width == lanes ? tiles<layout, 1>.by_rows[rows - 1] : tiles<layout, 2>.by_rows[rows - 1];
}

/// Columns of the panel that starts at `column`, as packed: one vector where no more is left, else two.
KAGAMI_INLINE int packed_width(int columns, int column) { return columns - column > lanes ? panel_width : lanes; }

/// r[i][j] = r[j][i], by exchanging halves of ever larger blocks.
KAGAMI_INLINE void transpose(Float (&r)[lanes]) {
#pragma GCC unroll 4
  for (int s = 1; s < lanes; s *= 2) {
    Int low, high;
#pragma GCC unroll 16
    for (int l = 0; l < lanes; ++l) {
      low[l] = l & s ? lanes + l - s : l;
      high[l] = l & s ? lanes + l : l + s;
    }
#pragma GCC unroll 16
    for (int l = 0; l < lanes; ++l)
      if (!(l & s)) {
        const Float p = r[l], q = r[l + s];
        r[l] = __builtin_shuffle(p, q, low);
        r[l + s] = __builtin_shuffle(p, q, high);
      }
  }
}

}  // namespace kagami::cpu::KAGAMI_ISA
