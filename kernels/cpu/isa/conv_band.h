#pragma once
// Convolution on bands: some rows of one image, copied with zeros left and right, so that register tiles read patches
// in place. It takes the convolutions with rows long enough to fill a tile; those of small maps go by way of packed
// patches.
#include <cstring>

#include "kernels/cpu/isa/conv.h"
#include "kernels/cpu/isa/matmul_product.h"

namespace kagami::cpu::KAGAMI_ISA {

constexpr std::ptrdiff_t band_bytes = 192 << 10;

/// Addresses of rows that lie `step` apart, as an odd multiple of it times a power of two: seven registers serve
/// fourteen rows. The empty asm keeps the compiler from computing (and spilling) one for each row in front of the loop.
template <class T>
class RowSteps {
 public:
  KAGAMI_INLINE explicit RowSteps(std::ptrdiff_t step) {
#pragma GCC unroll 7
    for (int i = 0; i < 7; ++i) odd_[i] = (2 * i + 1) * step;
  }
  KAGAMI_INLINE void keep() {
    asm("" : "+r"(odd_[0]), "+r"(odd_[1]), "+r"(odd_[2]));
    if constexpr (tile_rows > 7) asm("" : "+r"(odd_[3]), "+r"(odd_[4]), "+r"(odd_[5]), "+r"(odd_[6]));
  }
  KAGAMI_INLINE T* row(T* first, int i) const {
    if (i == 0) return first;
    const int shift = __builtin_ctz(i);
    return first + (odd_[i >> (shift + 1)] << shift);
  }

 private:
  std::ptrdiff_t odd_[7];
};

/// c[row][vector] = (add ? c : 0) + sum over `runs` runs of `length` values of a[row] b[vector]: rows of A lie a_step
/// apart and runs run_step, b is [runs * length][vectors * lanes].
template <int R, int vectors>
void run_tile(const float* a, std::ptrdiff_t a_step, int runs, int length, std::ptrdiff_t run_step, const float* b,
              float* c, std::ptrdiff_t row_step, bool add) {
  Float s[R][vectors] = {};
  RowSteps<float> before(row_step);
  before.keep();
#pragma GCC unroll 14
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j += 64 / (4 * lanes)) __builtin_prefetch(before.row(c, i) + j * lanes, 1);
  RowSteps<const float> steps(a_step);
  for (int run = 0; run < runs; ++run, a += run_step)
    for (int t = 0; t < length; ++t, b += vectors * lanes) {
      steps.keep();
      multiply_add<R, vectors>(
          s, [&](int i) { return steps.row(a + t, i); }, b);
    }
  RowSteps<float> after(row_step);
  after.keep();
  if (add)
#pragma GCC unroll 14
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) s[i][j] += load(after.row(c, i) + j * lanes);
#pragma GCC unroll 14
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) store(after.row(c, i) + j * lanes, s[i][j]);
}

/// How the pixels of a sum over rows x columns of them lie in an operand.
struct PixelSteps {
  std::ptrdiff_t row, pixel;
};

/// c[row][vector] = (add ? c : 0) + sum over rows x columns pixels of a[pixel][row] b[pixel][vector].
template <int R, int vectors>
void pixel_tile(const float* a, PixelSteps a_steps, const float* b, PixelSteps b_steps, int rows, int columns, float* c,
                std::ptrdiff_t row_step, bool add) {
  Float s[R][vectors] = {};
  for (; rows > 0; --rows, a += a_steps.row, b += b_steps.row) {
    const float *a_pixel = a, *b_pixel = b;
    for (int q = 0; q < columns; ++q, a_pixel += a_steps.pixel, b_pixel += b_steps.pixel)
      multiply_add<R, vectors>(
          s, [&](int i) { return a_pixel + i; }, b_pixel);
  }
  if (add)
#pragma GCC unroll 14
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) s[i][j] += load(c + i * row_step + j * lanes);
#pragma GCC unroll 14
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) store(c + i * row_step + j * lanes, s[i][j]);
}

using RunTile = void (*)(const float*, std::ptrdiff_t, int, int, std::ptrdiff_t, const float*, float*, std::ptrdiff_t,
                         bool);
using PixelTile = void (*)(const float*, PixelSteps, const float*, PixelSteps, int, int, float*, std::ptrdiff_t, bool);
template <int vectors>
struct BandTiles {
  RunTile runs[tile_rows];
  PixelTile pixels[tile_rows];
  template <int... R>
  constexpr explicit BandTiles(std::integer_sequence<int, R...>)
      : runs{run_tile<R + 1, vectors>...}, pixels{pixel_tile<R + 1, vectors>...} {}
};
template <int vectors>
inline constexpr BandTiles<vectors> band_tiles{std::make_integer_sequence<int, tile_rows>()};

KAGAMI_INLINE RunTile run_tile_of(int rows, int width) {
  return width == lanes ? band_tiles<1>.runs[rows - 1] : band_tiles<2>.runs[rows - 1];
}
KAGAMI_INLINE PixelTile pixel_tile_of(int rows, int width) {
  return width == lanes ? band_tiles<1>.pixels[rows - 1] : band_tiles<2>.pixels[rows - 1];
}

/// The images a band is cut from, and how it is laid out.
struct BandSource {
  const float* x;
  int h, w, c;
  int left;               // columns of zeros in front (negative: columns left out)
  int width;              // columns of a band
  bool in_place = false;  // no patch reaches over an edge: bands are read where they lie
  KAGAMI_INLINE std::ptrdiff_t row_floats() const { return static_cast<std::ptrdiff_t>(in_place ? w : width) * c; }

  /// Rows [first, first + rows) of an image, copied to `to` unless in_place; those outside it are zero.
  const float* band(int image, int first, int rows, float* to) const {
    if (in_place) return x + ((static_cast<std::ptrdiff_t>(image) * h + first) * w - left) * c;
    const int begin = smaller(width, larger(0, left)), end = larger(begin, smaller(width, w + left));
    const float* start = to;
    for (int row = first; row < first + rows; ++row, to += row_floats()) {
      if (row < 0 || row >= h) {
        std::memset(to, 0, row_floats() * sizeof(float));
        continue;
      }
      const float* from = x + ((static_cast<std::ptrdiff_t>(image) * h + row) * w + begin - left) * c;
      std::memset(to, 0, static_cast<std::size_t>(begin) * c * sizeof(float));
      std::memcpy(to + begin * c, from, static_cast<std::size_t>(end - begin) * c * sizeof(float));
      std::memset(to + end * c, 0, static_cast<std::size_t>(width - end) * c * sizeof(float));
    }
    return start;
  }
};

/// The outputs of a convolution that are reached by the same taps: all of them, or one phase of a strided data
/// gradient. Output (i,j) reads the taps_h x taps_w patch whose corner is (i stride - top, j stride - left), and lies
/// in y at first + i row_step + j pixel_step.
struct BandPart {
  int taps_h, taps_w, top, left, rows, columns;
  std::ptrdiff_t first, row_step, pixel_step;
};

struct BandConvolution {
  static constexpr int parts_most = 4;
  const float* x;
  int n, h, w, c, stride;
  float* y;
  std::ptrdiff_t image_step;  // of y
  int k;                      // channels of y
  const float* bias;
  bool add;
  int part_count;
  BandPart parts[parts_most];
};

/// Packs weights as operand B of a part, see matmul_product.h.
using PackWeights = void (*)(const void* weights, int part, int k0, int ks, int column, int columns, float* to);

std::size_t band_scratch(const BandConvolution& conv, int workers);
void run_band(const BandConvolution& conv, PackWeights pack, const void* weights, float* scratch);

std::size_t band_wgrad_scratch(const DirectShape& shape, int workers);
void run_band_wgrad(const DirectShape& shape, const float* x, const float* dy, float* dw, bool add, float* scratch);

}  // namespace kagami::cpu::KAGAMI_ISA
