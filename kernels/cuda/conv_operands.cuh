#pragma once
// A convolution's tensors as operands of the main loop (implicit GEMM): no im2col matrix is ever stored.
//   forward  y[pixel][k]       = Pixels(x) [pixel][r,s,c]   . w [k][r,s,c]
//   dgrad    dx[pixel][c]      = Pixels(dy) [pixel][r,s,k]  . Taps(w) [c][r,s,k]    once for each parity class of
//   pixels wgrad    dw[k][r,s,c]      = dy [k][pixel]              . Patches(x) [r,s,c][pixel]
#include "kernels/conv2d.h"
#include "kernels/cuda/divisor.h"
#include "kernels/cuda/gemm_operands.cuh"

namespace kagami::gemm {

/// A grid of pixels and the taps through which each of them reads an image: tap (r, s) of pixel (i, j) reads
/// (i stride + row + r direction, j stride + column + s direction).
struct Window {
  int rows, columns;   ///< of the grid
  int taps_h, taps_w;  ///< 0: every sum is empty
  int row, column;     ///< what tap (0, 0) of pixel (0, 0) reads
  int stride, direction;
};

inline Window forward_window(const Conv2dShape& shape) {
  return {shape.out_h(), shape.out_w(), shape.r, shape.s, -shape.pad, -shape.pad, shape.stride, 1};
}

/// A row of x meets only those taps that its parity (its remainder by the stride) allows.
struct ParityAxis {
  int size;   ///< pixels of this parity
  int tap;    ///< the first tap that meets them; then every stride-th
  int taps;   ///< how many do
  int first;  ///< the row of y that the first tap of the first pixel reads; further taps read rows above it
  KAGAMI_HD ParityAxis(int parity, int extent, int stride, int pad, int kernel)
      : size(parity < extent ? (extent - parity + stride - 1) / stride : 0),
        tap((parity + pad) % stride),
        taps(tap < kernel ? (kernel - tap + stride - 1) / stride : 0),
        first((parity + pad) / stride) {}
};

/// The pixels of x of one parity class: those whose row and column have the class's remainders by the stride.
struct ParityClass {
  int row, column;  ///< remainders
  ParityAxis vertical, horizontal;
  KAGAMI_HD ParityClass(const Conv2dShape& shape, int index)
      : row(index / shape.stride),
        column(index % shape.stride),
        vertical(row, shape.h, shape.stride, shape.pad, shape.r),
        horizontal(column, shape.w, shape.stride, shape.pad, shape.s) {}
  KAGAMI_HD Window window() const {
    const bool any = vertical.taps > 0 && horizontal.taps > 0;
    return {vertical.size,
            horizontal.size,
            any ? vertical.taps : 0,
            any ? horizontal.taps : 0,
            vertical.first,
            horizontal.first,
            1,
            -1};
  }
};

/// Rows are the pixels of a window's grid in every image, k is (tap row, tap column, channel).
template <class T>
struct Pixels {
  using Element = T;
  static constexpr bool k_contiguous = true;
  const T* data;
  int images, height, width, channels;  ///< of `data`
  Window window;

  __device__ void select(int) {}
  __device__ int rows() const { return images * window.rows * window.columns; }
  __device__ int depth() const { return window.taps_h * window.taps_w * channels; }

  template <class Share>
  class Cursor {
   public:
    __device__ Cursor(const Pixels& pixels, int first_row, int first_k)
        : pixels_(pixels),
          columns_(pixels.window.columns > 0 ? pixels.window.columns : 1),
          grid_(pixels.window.rows * pixels.window.columns > 0 ? pixels.window.rows * pixels.window.columns : 1),
          first_row_(first_row) {
      const int k = first_k + Share::position(), tap = k / pixels.channels;
      channel_ = k % pixels.channels;
      tap_row_ = pixels.window.taps_w > 0 ? tap / pixels.window.taps_w : 0;
      tap_column_ = pixels.window.taps_w > 0 ? tap % pixels.window.taps_w : 0;
      if constexpr (keeps_origins)
#pragma unroll
        for (int i = 0; i < Share::count; ++i) origins_[i] = origin(i);
    }
    __device__ __forceinline__ Source<T> at(int i) const {
      const Origin from = keeps_origins ? origins_[keeps_origins ? i : 0] : origin(i);
      const Window& window = pixels_.window;
      const int h = from.row + window.direction * tap_row_, w = from.column + window.direction * tap_column_;
      const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(pixels_.height) &&
                          static_cast<unsigned>(w) < static_cast<unsigned>(pixels_.width) && tap_row_ < window.taps_h;
      const std::int64_t pixel = from.pixel + window.direction * (tap_row_ * pixels_.width + tap_column_);
      return {pixels_.data + (inside ? pixel * pixels_.channels + channel_ : 0), inside};
    }
    __device__ __forceinline__ void advance(int n) {
      channel_ += n;
      while (channel_ >= pixels_.channels) {
        channel_ -= pixels_.channels;
        if (++tap_column_ == pixels_.window.taps_w) tap_column_ = 0, ++tap_row_;
      }
    }

   private:
    /// What tap (0, 0) of a row of the operand reads; `pixel` numbers all pixels of `data`.
    struct Origin {
      short row, column;
      int pixel;
    };
    /// Registers hold a few origins; a share of many lines works them out again for every tile.
    static constexpr bool keeps_origins = Share::count <= 8;
    static constexpr short nowhere = -0x4000;

    __device__ __forceinline__ Origin origin(int i) const {
      const int row = first_row_ + Share::line(i);
      int within, column;
      const int image = grid_.divide(row, within), y = columns_.divide(within, column);
      const int h = y * pixels_.window.stride + pixels_.window.row;
      const int w = column * pixels_.window.stride + pixels_.window.column;
      return {image < pixels_.images ? static_cast<short>(h) : nowhere, static_cast<short>(w),
              (image * pixels_.height + h) * pixels_.width + w};
    }

    Pixels pixels_;
    Divisor columns_, grid_;
    int first_row_, tap_row_, tap_column_, channel_;
    Origin origins_[keeps_origins ? Share::count : 1];
  };
};

/// The pixels of one parity class, chosen by blockIdx.z.
template <class T>
struct ParityPixels : Pixels<T> {
  Conv2dShape shape;
  __device__ void select(int z) { this->window = ParityClass(shape, z).window(); }
};

/// The weights [k,r,s,c] for dgrad: rows are c, k is (tap row, tap column, k) over the taps of a parity class.
template <class T>
struct Taps {
  using Element = T;
  static constexpr bool k_contiguous = false;
  const T* data;
  Conv2dShape shape;
  int tap_row, tap_column, taps_h, taps_w;  ///< the class's: set by select

  __device__ void select(int z) {
    const ParityClass parity(shape, z);
    tap_row = parity.vertical.tap, tap_column = parity.horizontal.tap;
    taps_h = parity.vertical.taps, taps_w = parity.horizontal.taps;
  }
  __device__ int rows() const { return shape.c; }
  __device__ int depth() const { return taps_h * taps_w * shape.k; }

  template <class Share>
  class Cursor {
   public:
    __device__ Cursor(const Taps& taps, int first_row, int first_k)
        : taps_(taps),
          outputs_(taps.shape.k),
          columns_(taps.taps_w > 0 ? taps.taps_w : 1),
          row_(first_row + Share::position()),
          k_(first_k + Share::line(0)) {}
    __device__ __forceinline__ Source<T> at(int i) const {
      const int at = k_ + i * Share::step;
      int output, column;
      const int row = columns_.divide(outputs_.divide(at, output), column);
      const Conv2dShape& shape = taps_.shape;
      const bool inside = row_ < shape.c && row < taps_.taps_h;
      const int r = taps_.tap_row + row * shape.stride, s = taps_.tap_column + column * shape.stride;
      const std::int64_t tap = (output * shape.r + r) * shape.s + s;
      return {taps_.data + (inside ? tap * shape.c + row_ : 0), inside};
    }
    __device__ __forceinline__ void advance(int n) { k_ += n; }

   private:
    Taps taps_;
    Divisor outputs_, columns_;
    int row_, k_;
  };
};

/// Rows are (r, s, c), k are the pixels of y: what each pixel of y saw of x.
template <class T>
struct Patches {
  using Element = T;
  static constexpr bool k_contiguous = false;
  const T* data;
  Conv2dShape shape;
  Divisor columns, grid;  ///< out_w and out_h out_w

  __device__ void select(int) {}
  __device__ int rows() const { return shape.r * shape.s * shape.c; }
  __device__ int depth() const { return shape.n * shape.out_h() * shape.out_w(); }

  template <class Share>
  class Cursor {
   public:
    __device__ Cursor(const Patches& patches, int first_row, int first_k)
        : patches_(patches), k_(first_k + Share::line(0)) {
      const Conv2dShape& shape = patches.shape;
      const int row = first_row + Share::position(), tap = row / shape.c;
      channel_ = row % shape.c;
      h_ = tap / shape.s - shape.pad, w_ = tap % shape.s - shape.pad;
      images_ = row < patches.rows() ? shape.n : 0;
    }
    __device__ __forceinline__ Source<T> at(int i) const {
      const Conv2dShape& shape = patches_.shape;
      int within, column;
      const int image = patches_.grid.divide(k_ + i * Share::step, within);
      const int row = patches_.columns.divide(within, column);
      const int h = row * shape.stride + h_, w = column * shape.stride + w_;
      const bool inside = image < images_ && static_cast<unsigned>(h) < static_cast<unsigned>(shape.h) &&
                          static_cast<unsigned>(w) < static_cast<unsigned>(shape.w);
      const std::int64_t pixel = (image * shape.h + h) * shape.w + w;
      return {patches_.data + (inside ? pixel * shape.c + channel_ : 0), inside};
    }
    __device__ __forceinline__ void advance(int n) { k_ += n; }

   private:
    Patches patches_;
    int k_, channel_, h_, w_;
    int images_;  ///< 0 for rows that do not exist
  };
};

/// dx's pixels of one parity class.
template <class T>
struct ParityResult {
  using Element = T;
  T* data;
  Conv2dShape shape;
  int columns;  ///< channels
  bool aligned;
  Epilogue<T> epilogue;
  int first_row, first_column, class_rows, class_columns;  ///< set by select

  __device__ void select(int z) {
    const ParityClass parity(shape, z);
    first_row = parity.row, first_column = parity.column;
    class_rows = parity.vertical.size, class_columns = parity.horizontal.size;
  }
  __device__ T* row(int i) const {
    const int grid = class_rows * class_columns;
    if (i >= shape.n * grid) return nullptr;
    const int within = i % grid;
    const int h = within / class_columns * shape.stride + first_row;
    const int w = within % class_columns * shape.stride + first_column;
    return data + (static_cast<std::int64_t>(i / grid * shape.h + h) * shape.w + w) * columns;
  }
};

}  // namespace kagami::gemm
