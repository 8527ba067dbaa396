#pragma once
// F(4x4, 3x3) of Winograd's convolution (Lavin & Gray 2016) with the points 0, +-5/8, +-3/2 and infinity: a 6x6 patch
// of x gives 4x4 outputs by 36 products instead of 144. With B, G, A the 1-D transforms, a patch d, weights g:
//   y = A^T [ (G g G^T) . (B^T d B) ] A,        dw = G^T [ sum over patches (A dy A^T) . (B^T d B) ] G.
// These points lose less than half the accuracy that the textbook's 0, +-1, +-2 lose.
#include "kernels/cpu/isa/matmul_tile.h"

namespace kagami::cpu::KAGAMI_ISA {

constexpr int winograd_out = 4;                         // outputs of a patch, in each direction
constexpr int winograd_in = 6;                          // its inputs
constexpr int frequencies = winograd_in * winograd_in;  // values of a transformed patch
constexpr float p1 = 0.625f, p2 = 1.5f;                 // the points
constexpr float s1 = p1 * p1, s2 = p2 * p2, product = s1 * s2;
constexpr float n0 = 1 / product, n1 = 1 / (2 * s1 * (s1 - s2)), n2 = 1 / (2 * s2 * (s2 - s1));

/// B^T: six inputs.
template <class V>
KAGAMI_INLINE void transform_input(const V* x, V* y) {
  y[0] = product * x[0] - (s1 + s2) * x[2] + x[4];
  V even = x[4] - s2 * x[2], odd = x[3] - s2 * x[1];
  y[1] = even + p1 * odd;
  y[2] = even - p1 * odd;
  even = x[4] - s1 * x[2], odd = x[3] - s1 * x[1];
  y[3] = even + p2 * odd;
  y[4] = even - p2 * odd;
  y[5] = product * x[1] - (s1 + s2) * x[3] + x[5];
}

/// G: three weights.
KAGAMI_INLINE void transform_weights(const Float* g, Float* u) {
  Float even = n1 * g[0] + (n1 * s1) * g[2], odd = (n1 * p1) * g[1];
  u[0] = n0 * g[0];
  u[1] = even + odd;
  u[2] = even - odd;
  even = n2 * g[0] + (n2 * s2) * g[2], odd = (n2 * p2) * g[1];
  u[3] = even + odd;
  u[4] = even - odd;
  u[5] = g[2];
}

/// A^T: back to four outputs.
KAGAMI_INLINE void transform_output(const Float* m, Float* y) {
  const Float a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  y[0] = m[0] + a + c;
  y[1] = p1 * b + p2 * d;
  y[2] = s1 * a + s2 * c;
  y[3] = (p1 * s1) * b + (p2 * s2) * d + m[5];
}

/// A: the adjoint of transform_output, for gradients of outputs.
KAGAMI_INLINE void transform_output_gradient(const Float* g, Float* y) {
  Float even = g[0] + s1 * g[2], odd = p1 * g[1] + (p1 * s1) * g[3];
  y[0] = g[0];
  y[1] = even + odd;
  y[2] = even - odd;
  even = g[0] + s2 * g[2], odd = p2 * g[1] + (p2 * s2) * g[3];
  y[3] = even + odd;
  y[4] = even - odd;
  y[5] = g[3];
}

/// G^T: the adjoint of transform_weights, back to the gradient of three weights.
KAGAMI_INLINE void transform_weights_gradient(const Float* u, Float* g) {
  const Float a = u[1] + u[2], b = u[1] - u[2], c = u[3] + u[4], d = u[3] - u[4];
  g[0] = n0 * u[0] + n1 * a + n2 * c;
  g[1] = (n1 * p1) * b + (n2 * p2) * d;
  g[2] = (n1 * s1) * a + (n2 * s2) * c + u[5];
}

/// out = L in L^T for a 1-D transform L from I to O points: in(i) gives value i of the I x I block in row-major order,
/// out(i, v) takes value i of the O x O result. Values of a column are asked for together, rows given together.
template <int I, int O, class L, class In, class Out>
KAGAMI_INLINE void transform_2d(L transform, In in, Out out) {
  Float t[O][I];
#pragma GCC unroll 36
  for (int j = 0; j < I; ++j) {
    Float x[I], y[O];
#pragma GCC unroll 36
    for (int i = 0; i < I; ++i) x[i] = in(i * I + j);
    transform(x, y);
#pragma GCC unroll 36
    for (int i = 0; i < O; ++i) t[i][j] = y[i];
  }
#pragma GCC unroll 36
  for (int i = 0; i < O; ++i) {
    Float y[O];
    transform(t[i], y);
#pragma GCC unroll 36
    for (int j = 0; j < O; ++j) out(i * O + j, y[j]);
  }
}

/// Hands out the addresses of frequency 0, 1, 2, ..., which lie `floats` apart. The empty asm keeps the compiler from
/// computing (and spilling) all 36 of them in front of a loop.
class FrequencyWalk {
 public:
  KAGAMI_INLINE FrequencyWalk(const float* first, std::ptrdiff_t floats)
      : at_(const_cast<float*>(first)), step_(floats) {}
  KAGAMI_INLINE float* next() {
    float* result = at_ + count_ % 4 * step_;
    if (++count_ % 4 == 0) {
      at_ += 4 * step_;
      asm("" : "+r"(at_));
    }
    return result;
  }

 private:
  float* at_;
  std::ptrdiff_t step_;
  int count_ = 0;
};

/// Distance of two frequencies that hold `floats` values each: an odd number of cache lines, else all 36 streams of a
/// transform would fall into one set of the cache.
KAGAMI_INLINE std::ptrdiff_t frequency_step(std::ptrdiff_t floats) {
  const std::ptrdiff_t lines = (floats + 15) / 16;
  return 16 * (lines % 2 == 0 ? lines + 1 : lines + 2);
}

constexpr std::ptrdiff_t ahead = 2 * winograd_out;  // pixels: two patches further on in the same row
KAGAMI_INLINE Float load_and_prefetch(const float* p, std::ptrdiff_t distance) {
  __builtin_prefetch(p + distance, 0, 3);
  return load(p);
}

/// The patches that tile the outputs, in order of image, row, column; a patch is named by its number.
struct PatchGrid {
  int n, rows, columns;
  KAGAMI_INLINE PatchGrid(int n, int out_h, int out_w)
      : n(n), rows(divide_up(out_h, winograd_out)), columns(divide_up(out_w, winograd_out)) {}
  KAGAMI_INLINE int count() const { return n * rows * columns; }
};

/// The addresses of the S x S pixels of patch `number`, whose corner lies `shift` above and left of its first output,
/// in an image [h,w,c]; pixels outside it get the address `outside`.
template <int S, class Pointer>
KAGAMI_INLINE void patch_pixels(const PatchGrid& grid, int number, int shift, Pointer image, int h, int w, int c,
                                Pointer outside, Pointer* pixels) {
  const int in_image = number % (grid.rows * grid.columns), n = number / (grid.rows * grid.columns);
  const int top = in_image / grid.columns * winograd_out - shift, left = in_image % grid.columns * winograd_out - shift;
  const Pointer corner = image + ((static_cast<std::ptrdiff_t>(n) * h + top) * w + left) * c;
  const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(w) * c;
  if (top >= 0 && left >= 0 && top + S <= h && left + S <= w) {
    for (int i = 0; i < S; ++i)
#pragma GCC unroll 6
      for (int j = 0; j < S; ++j) pixels[i * S + j] = corner + i * row + std::ptrdiff_t{j} * c;
    return;
  }
  for (int i = 0; i < S; ++i) {
    const bool row_inside = top + i >= 0 && top + i < h;
#pragma GCC unroll 6
    for (int j = 0; j < S; ++j) {
      const bool inside = row_inside & (left + j >= 0) & (left + j < w);
      pixels[i * S + j] = inside ? corner + i * row + std::ptrdiff_t{j} * c : outside;
    }
  }
}

}  // namespace kagami::cpu::KAGAMI_ISA
