#pragma once
// Tiles of the weight gradient of a first layer, 3x3 pixels of three colours. Its 27 sums by k fit so few tiles that dy
// is read once or twice, where tiles of one row of taps would read it three times or more.
#include "kernels/cpu/isa/conv_band.h"

namespace kagami::cpu::KAGAMI_ISA {

struct ColorPatch {
  static constexpr int colors = 3, taps_h = 3, tap_row = 3 * colors, values = taps_h * tap_row;
  static KAGAMI_INLINE bool fits(const DirectShape& z) { return z.r == 3 && z.s == 3 && z.c == 3; }
  /// Values of a patch that one tile takes: with one vector each, 32 registers hold them all.
  static constexpr int most(int vectors) { return vectors == 2 ? tile_rows : registers == 32 ? values : 2 * tile_rows; }
  static constexpr int tiles(int vectors) { return (values + most(vectors) - 1) / most(vectors); }
};

struct TapRows {
  const float* row[ColorPatch::taps_h];
};
/// s += the products of two neighbouring pixels, whose first patch lies in `taps`.
KAGAMI_INLINE void color_pair(Float (&s)[ColorPatch::values][1], TapRows taps, Float first, Float second) {
#pragma GCC unroll 3
  for (int i = 0; i < ColorPatch::taps_h; ++i)
#pragma GCC unroll 12
    for (int t = 0; t < ColorPatch::tap_row + ColorPatch::colors; ++t) {
      const Float value = broadcast(taps.row[i][t]);
      if (t < ColorPatch::tap_row) s[i * ColorPatch::tap_row + t][0] += value * first;
      if (t >= ColorPatch::colors) s[i * ColorPatch::tap_row + t - ColorPatch::colors][0] += value * second;
    }
}

/// Tile number `part` of c[value][vector] = (add ? c : 0) + sum over rows x columns pixels of a[pixel][value]
/// b[pixel][vector]; the rows of taps of a patch lie a_taps apart. Where only some of a pixel of b is read, steps are
/// too long for the processor to foresee: meanwhile the tile fetches its part of the rows that come next.
template <int part, int vectors>
void color_tile(const float* a, PixelSteps a_steps, std::ptrdiff_t a_taps, const float* b, PixelSteps b_steps, int rows,
                int columns, float* c, std::ptrdiff_t row_step, bool add) {
  constexpr int first = ColorPatch::values * part / ColorPatch::tiles(vectors);
  constexpr int R = ColorPatch::values * (part + 1) / ColorPatch::tiles(vectors) - first;
  Float s[R][vectors] = {};
  c += first * row_step;
  constexpr int parts = ColorPatch::tiles(vectors);
  const std::ptrdiff_t ahead = rows * b_steps.row;
  const int fetched = b_steps.pixel > vectors * lanes ? columns : 0;
  for (; rows > 0; --rows, a += a_steps.row, b += b_steps.row) {
    for (int q = fetched * part / parts; q < fetched * (part + 1) / parts; ++q)
      for (int line = 0; line < vectors * lanes; line += 16)
        __builtin_prefetch(b + ahead + q * b_steps.pixel + line, 0, 2);
    const float *top = a, *middle = a + a_taps, *bottom = middle + a_taps, *b_pixel = b;
    int q = 0;
    if constexpr (R == ColorPatch::values)  // two pixels at a time read the values that both have once
      if (a_steps.pixel == ColorPatch::colors)
        for (; q + 1 < columns; q += 2, b_pixel += 2 * b_steps.pixel) {
          asm("" : "+r"(top), "+r"(middle), "+r"(bottom));
          color_pair(s, {top, middle, bottom}, load(b_pixel), load(b_pixel + b_steps.pixel));
          top += 2 * a_steps.pixel, middle += 2 * a_steps.pixel, bottom += 2 * a_steps.pixel;
        }
    for (; q < columns; ++q, b_pixel += b_steps.pixel) {
      // The empty asm keeps the compiler from an address for each value, more than there are registers.
      asm("" : "+r"(top), "+r"(middle), "+r"(bottom));
      multiply_add<R, vectors>(
          s,
          [&](int i) {
            const int row = (first + i) / ColorPatch::tap_row;
            return (row == 0 ? top : row == 1 ? middle : bottom) + (first + i) % ColorPatch::tap_row;
          },
          b_pixel);
      top += a_steps.pixel, middle += a_steps.pixel, bottom += a_steps.pixel;
    }
  }
  if (add)
#pragma GCC unroll 27
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) s[i][j] += load(c + i * row_step + j * lanes);
#pragma GCC unroll 27
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) store(c + i * row_step + j * lanes, s[i][j]);
}

using ColorTiles = void (*)(const float*, PixelSteps, std::ptrdiff_t, const float*, PixelSteps, int, int, float*,
                            std::ptrdiff_t, bool);

/// All tiles, one after the other.
template <int vectors, int... part>
constexpr ColorTiles color_tiles(std::integer_sequence<int, part...>) {
  return [](const float* a, PixelSteps a_steps, std::ptrdiff_t a_taps, const float* b, PixelSteps b_steps, int rows,
            int columns, float* c, std::ptrdiff_t row_step, bool add) {
    (color_tile<part, vectors>(a, a_steps, a_taps, b, b_steps, rows, columns, c, row_step, add), ...);
  };
}

KAGAMI_INLINE ColorTiles color_tiles_of(int width) {
  constexpr ColorTiles one = color_tiles<1>(std::make_integer_sequence<int, ColorPatch::tiles(1)>());
  constexpr ColorTiles two = color_tiles<2>(std::make_integer_sequence<int, ColorPatch::tiles(2)>());
  return width == lanes ? one : two;
}

}  // namespace kagami::cpu::KAGAMI_ISA
