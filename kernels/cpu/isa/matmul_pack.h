#pragma once
// How stored matrices are packed for the products of matmul_product.h.
#include "kernels/cpu/isa/matmul_tile.h"

namespace kagami::cpu::KAGAMI_ISA {

/// Rows of A [m,k], as Layout::rows.
struct RowsOfMatrix {
  static constexpr Layout layout = Layout::rows;
  const float* a;
  std::ptrdiff_t lda;
  void pack(int row, int rows, int k0, int ks, float* to) const {
    for (int i = 0; i < rows; ++i) {
      const float* from = a + (row + i) * lda + k0;
      float* out = to + i * lanes;
      int p = 0;
      for (; p + lanes <= ks; p += lanes, out += rows * lanes) store(out, load(from + p));
      for (int rest = 0; p + rest < ks; ++rest) out[rest] = from[p + rest];
    }
  }
};

/// Rows of A stored transposed [k,m], as Layout::columns. Reads whole vectors where the matrix goes on.
struct ColumnsOfMatrix {
  static constexpr Layout layout = Layout::columns;
  const float* a;
  std::ptrdiff_t lda;
  std::ptrdiff_t size;  ///< from the first element to behind the last
  void pack(int row, int rows, int k0, int ks, float* to) const {
    for (int p = 0; p < ks; ++p, to += rows) {
      const float* from = a + (k0 + p) * lda + row;
      if (a + size - from >= tile_rows + lanes) {
        for (int i = 0; i < rows; i += lanes) store(to + i, load(from + i));
      } else {
        for (int i = 0; i < rows; ++i) to[i] = from[i];
      }
    }
  }

  /// Where row `row` lies at position k, and how far the next position is.
  const float* at(int row, int k) const { return a + k * lda + row; }
  std::ptrdiff_t step() const { return lda; }
};

/// A row of a panel: `columns` values, zero up to `packed`.
KAGAMI_INLINE void pack_row(const float* from, int columns, int packed, float* to) {
  if (columns == packed) {
    for (int j = 0; j < packed; j += lanes) store(to + j, load(from + j));
  } else {
    for (int j = 0; j < packed; ++j) to[j] = j < columns ? from[j] : 0.0f;
  }
}

/// A panel of B stored transposed: column j lies at b + j * ldb.
inline void pack_transposed(const float* b, std::ptrdiff_t ldb, int ks, int columns, int packed, float* to) {
  for (int j0 = 0; j0 < packed; j0 += lanes)
    for (int p0 = 0; p0 < ks; p0 += lanes) {
      const int across = smaller(lanes, columns - j0), down = smaller(lanes, ks - p0);
      const float* from = b + j0 * ldb + p0;
      float* out = to + p0 * packed + j0;
      if (across == lanes && down == lanes) {
        Float r[lanes];
#pragma GCC unroll 16
        for (int j = 0; j < lanes; ++j) {
          r[j] = load(from + j * ldb);
          __builtin_prefetch(from + j * ldb + 4 * lanes, 0, 3);  // more streams than the hardware follows
        }
        transpose(r);
#pragma GCC unroll 16
        for (int p = 0; p < lanes; ++p) store(out + p * packed, r[p]);
      } else {
        for (int p = 0; p < down; ++p)
          for (int j = 0; j < lanes; ++j) out[p * packed + j] = j < across ? from[j * ldb + p] : 0.0f;
      }
    }
}

/// B [k,n], or stored transposed [n,k].
struct PanelsOfMatrix {
  const float* b;
  std::ptrdiff_t ldb;
  bool transposed;
  void pack(int k0, int ks, int column, int columns, float* to) const {
    for (int j = 0; j < columns; j += panel_width) {
      const int width = smaller(panel_width, columns - j), packed = packed_width(columns, j);
      float* panel = to + j * ks;
      if (transposed)
        pack_transposed(b + (column + j) * ldb + k0, ldb, ks, width, packed, panel);
      else
        for (int p = 0; p < ks; ++p) pack_row(b + (k0 + p) * ldb + column + j, width, packed, panel + p * packed);
    }
  }
};

}  // namespace kagami::cpu::KAGAMI_ISA
