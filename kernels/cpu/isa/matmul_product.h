#pragma once
// Matrix products C [m,n] = A [m,k] B [k,n] whose operands exist only as something that can be packed: a matrix, the
// patches of an image, weights in another order. Convolutions and matmul differ in how they pack and where results go.
//   A: static constexpr Layout layout; void pack(int row, int rows, int k0, int ks, float* to): rows of one tile. It
//   may
//      write up to `slack` floats beyond them.
//      With Layout::columns also at(row, k) and step(): DeepProduct reads it where it lies.
//   B: void pack(int k0, int ks, int column, int columns, float* to): panels of panel_width columns one after the
//   other,
//      each [ks][packed width], zero beyond the last column.
//   C: void store(int row, int column, int count, float* values): takes finished values and may change them.
// How work is cut follows from m, n and k alone.
#include "kernels/cpu/isa/matmul_tile.h"
#include "kernels/cpu/parallel.h"

namespace kagami::cpu::KAGAMI_ISA {

constexpr int k_most = 256;        // of the sum at a time: a panel and the rows of a tile stay near
constexpr int columns_most = 288;  // of a block in DeepProduct
constexpr int deep_most = smaller(k_most, 4096 / panel_width);  // of the sum in DeepProduct: its panel and rows fit L1
constexpr int deep_rows_most = 512;                             // of A packed at a time in DeepProduct
constexpr int rows_most = 8 * (tile_rows == 14 ? 14 : 12);      // of a block in RowProduct
constexpr int enough_items = 16;                                // work is cut finer until there are so many
constexpr int slack = 32;

KAGAMI_INLINE int round_up(int count, int step) { return divide_up(count, step) * step; }

/// [0, total) in pieces of `size`, the last one maybe shorter.
struct Pieces {
  int total, size;
  KAGAMI_INLINE int count() const { return divide_up(total, size); }
  KAGAMI_INLINE int begin(int i) const { return i * size; }
  KAGAMI_INLINE int length(int i) const { return smaller(size, total - i * size); }
};

/// About equal pieces of at most `most` (itself a multiple of `step`), all but the last a multiple of `step`.
KAGAMI_INLINE Pieces even_pieces(int total, int most, int step) {
  return {total, larger(step, round_up(divide_up(total, larger(1, divide_up(total, most))), step))};
}

/// Many rows: B is packed once, for all; the items are blocks of rows, and of columns where rows are few.
template <class A, class B, class C>
class RowProduct {
 public:
  RowProduct(int m, int n, int k, const A& a, const B& b, const C& c)
      : a_(a),
        b_(b),
        c_(c),
        k_(even_pieces(k, k_most, 16)),
        rows_(even_pieces(m, rows_most, 1)),
        columns_{n, larger(panel_width, round_up(n, panel_width))} {
    const int blocks = smaller(enough_items, divide_up(m, 2 * tile_rows));
    if (rows_.count() < blocks) rows_ = even_pieces(m, divide_up(m, blocks), 1);
    while (rows_.count() * columns_.count() < enough_items && columns_.size > 2 * panel_width)
      columns_.size = round_up(columns_.size / 2, panel_width);
  }
  std::size_t scratch(int workers) const { return shared() + workers * own(); }

  void run(float* scratch) const {
    const int panels = divide_up(columns_.total, panel_width);
    parallel_items(std::int64_t{k_.count()} * panels, [&](std::int64_t item, int) {
      const int chunk = static_cast<int>(item / panels), column = static_cast<int>(item % panels) * panel_width;
      b_.pack(k_.begin(chunk), k_.length(chunk), column, smaller(panel_width, columns_.total - column),
              scratch + packed_b(chunk, column));
    });
    parallel_items(std::int64_t{rows_.count()} * columns_.count(), [&](std::int64_t item, int worker) {
      run_block(static_cast<int>(item / columns_.count()), static_cast<int>(item % columns_.count()), scratch,
                scratch + shared() + worker * own());
    });
  }

 private:
  std::size_t shared() const { return static_cast<std::size_t>(k_.total) * round_up(columns_.total, lanes) + slack; }
  std::size_t own() const { return packed_a() + static_cast<std::size_t>(rows_.size) * columns_.size; }
  std::size_t packed_a() const { return static_cast<std::size_t>(rows_.size) * round_up(k_.size, 16) + slack; }
  std::size_t packed_b(int chunk, int column) const {
    return static_cast<std::size_t>(k_.begin(chunk)) * round_up(columns_.total, lanes) +
           static_cast<std::size_t>(column) * k_.length(chunk);
  }

  void run_block(int row_block, int column_block, const float* b, float* own) const {
    const int row = rows_.begin(row_block), column = columns_.begin(column_block);
    const int columns = columns_.length(column_block);
    const Groups groups(rows_.length(row_block), tile_rows);
    float* result = own + packed_a();  // [row][columns_.size]
    for (int chunk = 0; chunk < k_.count(); ++chunk) {
      const int ks = k_.length(chunk), depth = round_up(ks, lanes);
      for (int g = 0; g < groups.count; ++g)
        a_.pack(row + groups.begin(g), groups.size(g), k_.begin(chunk), ks, own + groups.begin(g) * depth);
      for (int j = 0; j < columns; j += panel_width) {
        const int width = packed_width(columns, j);
        const float* panel = b + packed_b(chunk, column + j);
        const int share = divide_up(std::int64_t{ks} * width, groups.count);  // of the next panel, for each tile
        for (int g = 0; g < groups.count; ++g)
          tile_of<A::layout>(groups.size(g), width)(
              own + groups.begin(g) * depth, panel, ks, result + groups.begin(g) * columns_.size + j, columns_.size,
              lanes, chunk > 0, A::layout == Layout::columns ? groups.size(g) : 0,
              {panel + std::ptrdiff_t{ks} * width + g * share, divide_up(share, 16 * divide_up(ks, lanes))});
      }
    }
    if (k_.total == 0)
      for (int i = 0; i < rows_.size * columns_.size; ++i) result[i] = 0.0f;
    for (int i = 0; i < rows_.length(row_block); ++i) c_.store(row + i, column, columns, result + i * columns_.size);
  }

  const A& a_;
  const B& b_;
  const C& c_;
  Pieces k_, rows_, columns_;
};

/// A long sum: the items are blocks of columns and shares of the sum, each packs what it needs. Columns of A are not
/// packed: each is read by as few tiles as there are panels, and no panel is too long to hide how far away they are.
/// The results of the shares are added at the end, in order.
template <class A, class B, class C>
class DeepProduct {
 public:
  DeepProduct(int m, int n, int k, const A& a, const B& b, const C& c)
      : a_(a),
        b_(b),
        c_(c),
        rows_(even_pieces(m, deep_rows_most, 1)),
        columns_(even_pieces(n, columns_most / panel_width * panel_width, panel_width)) {
    const int shares = larger(1, smaller(k / (2 * k_most), divide_up(enough_items, columns_.count())));
    k_ = even_pieces(k, round_up(divide_up(k, shares), 16), 16);
  }
  std::size_t scratch(int workers) const { return k_.count() * share_size() + workers * own(); }

  void run(float* scratch) const {
    parallel_items(std::int64_t{k_.count()} * columns_.count(), [&](std::int64_t item, int worker) {
      const int share = static_cast<int>(item / columns_.count());
      run_block(share, static_cast<int>(item % columns_.count()), scratch + share * share_size(),
                scratch + k_.count() * share_size() + worker * own());
    });
    parallel_for(rows_.total, 8, [&](std::int64_t first, std::int64_t last) {
      for (int row = static_cast<int>(first); row < last; ++row) add_shares(row, scratch);
    });
  }

 private:
  int width() const { return round_up(columns_.total, panel_width); }
  std::size_t share_size() const { return static_cast<std::size_t>(rows_.total) * width(); }
  std::size_t packed_b() const { return static_cast<std::size_t>(deep_most) * columns_.size + slack; }
  std::size_t packed_a() const {
    return A::layout == Layout::rows ? static_cast<std::size_t>(rows_.size) * round_up(deep_most, lanes) + slack : 0;
  }
  std::size_t own() const { return packed_b() + packed_a(); }

  void run_block(int share, int column_block, float* result, float* own) const {
    const Pieces chunks = even_pieces(k_.length(share), deep_most, 16);
    const int column = columns_.begin(column_block), columns = columns_.length(column_block);
    float *b = own, *a = own + packed_b();
    for (int chunk = 0; chunk < chunks.count(); ++chunk) {
      const int k0 = k_.begin(share) + chunks.begin(chunk), ks = chunks.length(chunk);
      b_.pack(k0, ks, column, columns, b);
      for (int block = 0; block < rows_.count(); ++block) {
        const int row = rows_.begin(block), depth = round_up(ks, lanes);
        const Groups groups(rows_.length(block), tile_rows);
        if constexpr (A::layout == Layout::rows)
          for (int g = 0; g < groups.count; ++g)
            a_.pack(row + groups.begin(g), groups.size(g), k0, ks, a + groups.begin(g) * depth);
        for (int j = 0; j < columns; j += panel_width)
          for (int g = 0; g < groups.count; ++g) {
            const Tile tile = tile_of<A::layout>(groups.size(g), packed_width(columns, j));
            float* to = result + static_cast<std::ptrdiff_t>(row + groups.begin(g)) * width() + column + j;
            if constexpr (A::layout == Layout::rows)
              tile(a + groups.begin(g) * depth, b + j * ks, ks, to, width(), lanes, chunk > 0, 0, {});
            else
              tile(a_.at(row + groups.begin(g), k0), b + j * ks, ks, to, width(), lanes, chunk > 0, a_.step(), {});
          }
      }
    }
  }

  void add_shares(int row, float* parts) const {
    float* sum = parts + static_cast<std::ptrdiff_t>(row) * width();
    for (int share = 1; share < k_.count(); ++share)
      for (int j = 0; j < columns_.total; j += lanes)
        store(sum + j, load(sum + j) + load(sum + share * share_size() + j));
    c_.store(row, 0, columns_.total, sum);
  }

  const A& a_;
  const B& b_;
  const C& c_;
  Pieces rows_, k_{}, columns_;
};

/// Writes to[0..count) = from, or adds it.
KAGAMI_INLINE void write_row(float* to, const float* from, int count, bool add) {
  int i = 0;
  for (; i + lanes <= count; i += lanes) store(to + i, add ? load(to + i) + load(from + i) : load(from + i));
  for (; i < count; ++i) to[i] = add ? to[i] + from[i] : from[i];
}

}  // namespace kagami::cpu::KAGAMI_ISA
