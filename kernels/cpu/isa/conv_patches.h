#pragma once
// The patches of images as rows of a matrix [pixels of y, taps_h * taps_w * c], packed without ever existing as a
// whole.
#include <cstring>

#include "kernels/cpu/isa/matmul_product.h"

namespace kagami::cpu::KAGAMI_ISA {

/// Output pixel (p,q) reads the taps_h x taps_w patch of x [n,h,w,c] whose corner is (p stride - top, q stride - left).
struct PatchMatrix {
  const float* x;
  std::ptrdiff_t size;  // floats of x
  int h, w, c;
  int taps_h, taps_w, stride, top, left;
  int out_h, out_w;
  int length() const { return taps_h * taps_w * c; }
};

/// Where a range of values lies in a patch.
struct PatchRange {
  int first, count;
  int tap_h, tap_w, channel;  // of the first value
  KAGAMI_INLINE PatchRange(const PatchMatrix& m, int first, int count)
      : first(first),
        count(count),
        tap_h(first / m.c / m.taps_w),
        tap_w(first / m.c % m.taps_w),
        channel(first % m.c) {}
};

/// The patch of one output pixel after the other.
class PatchCursor {
 public:
  KAGAMI_INLINE PatchCursor(const PatchMatrix& m, int pixel)
      : m_(m), q_(pixel % m.out_w), p_(pixel / m.out_w % m.out_h) {
    image_ = m.x + static_cast<std::ptrdiff_t>(pixel / m.out_w / m.out_h) * m.h * m.w * m.c;
    place();
  }
  KAGAMI_INLINE void next() {
    if (++q_ == m_.out_w) {
      q_ = 0;
      if (++p_ == m_.out_h) {
        p_ = 0;
        image_ += static_cast<std::ptrdiff_t>(m_.h) * m_.w * m_.c;
      }
    }
    place();
  }

  /// The values of a range in vectors: out(i) is where vector i goes. The last may be filled up with zeros.
  template <bool whole, class Out>
  KAGAMI_INLINE void vectors(const PatchRange& range, Out out) const {
    if constexpr (whole)
      whole_vectors(range, out);
    else
      split_vectors(range.first, range.count, out);
  }
  /// Whether no vector of a range reaches over a tap.
  static KAGAMI_INLINE bool whole(const PatchMatrix& m, const PatchRange& range) {
    return m.c % lanes == 0 && range.first % lanes == 0;
  }

 private:
  KAGAMI_INLINE void place() {
    row_ = p_ * m_.stride - m_.top;
    column_ = q_ * m_.stride - m_.left;
  }
  KAGAMI_INLINE bool inside(int i, int j) const {
    return row_ + i >= 0 && row_ + i < m_.h && column_ + j >= 0 && column_ + j < m_.w;
  }
  KAGAMI_INLINE const float* pixel(int i, int j) const {
    return image_ + (static_cast<std::ptrdiff_t>(row_ + i) * m_.w + column_ + j) * m_.c;
  }

  template <class Out>
  KAGAMI_INLINE void whole_vectors(const PatchRange& range, Out out) const {
    int i = range.tap_h, j = range.tap_w, channel = range.channel;
    const int count = range.count;
    for (int done = 0, vector = 0; done < count; channel = 0) {
      const int channels = smaller(m_.c - channel, count - done);
      if (inside(i, j)) {
        const float* from = pixel(i, j) + channel;
        for (int v = 0; v < channels; v += lanes) store(out(vector++), load(from + v));
      } else {
        for (int v = 0; v < channels; v += lanes) store(out(vector++), Float{});
      }
      done += channels;
      if (++j == m_.taps_w) j = 0, ++i;
    }
  }

  /// By way of a line in which the taps of a row lie one after the other, as they do in the image.
  template <class Out>
  KAGAMI_INLINE void split_vectors(int first, int count, Out out) const {
    float line[larger(k_most, columns_most) + 2 * slack];
    const int run = m_.taps_w * m_.c;
    const int low = smaller(m_.taps_w, larger(0, -column_)) * m_.c;
    const int high = larger(0, smaller(m_.taps_w, m_.w - column_)) * m_.c;
    float* to = line;
    for (int i = first / run, begin = first % run; to < line + count; ++i, begin = 0) {
      const int stop = smaller<int>(run, begin + static_cast<int>(line + count - to));
      const bool row_inside = row_ + i >= 0 && row_ + i < m_.h;
      const int from = smaller(stop, larger(begin, row_inside ? low : stop)), until = larger(from, smaller(stop, high));
      for (int z = begin; z < from; ++z) *to++ = 0.0f;
      if (from < until)
        to = copy(image_ + (static_cast<std::ptrdiff_t>(row_ + i) * m_.w + column_) * m_.c + from, until - from, to);
      for (int z = until; z < stop; ++z) *to++ = 0.0f;
    }
    store(to, Float{});
    for (int done = 0, vector = 0; done < count; done += lanes) store(out(vector++), load(line + done));
  }

  /// Copies by whole vectors where x goes on far enough; what is written too much is overwritten next.
  KAGAMI_INLINE float* copy(const float* from, int count, float* to) const {
    if (m_.x + m_.size - from >= count + lanes) {
      for (int i = 0; i < count; i += lanes) store(to + i, load(from + i));
    } else {
      for (int i = 0; i < count; ++i) to[i] = from[i];
    }
    return to + count;
  }

  const PatchMatrix& m_;
  const float* image_;
  int q_, p_, row_, column_;
};

/// As operand A: a row is a pixel.
struct PatchRows {
  static constexpr Layout layout = Layout::rows;
  const PatchMatrix& patches;
  void pack(int row, int rows, int k0, int ks, float* to) const {
    const PatchRange range(patches, k0, ks);
    if (PatchCursor::whole(patches, range))
      pack<true>(row, rows, range, to);
    else
      pack<false>(row, rows, range, to);
  }

 private:
  template <bool whole>
  void pack(int row, int rows, const PatchRange& range, float* to) const {
    PatchCursor cursor(patches, row);
    for (int i = 0; i < rows; ++i, cursor.next())
      cursor.vectors<whole>(range, [&](int vector) { return to + (vector * rows + i) * lanes; });
  }
};

/// As operand B: the sum runs over pixels.
struct PatchPanels {
  const PatchMatrix& patches;
  void pack(int k0, int ks, int column, int columns, float* to) const {
    const PatchRange range(patches, column, columns);
    if (PatchCursor::whole(patches, range))
      pack<true>(k0, ks, range, to);
    else
      pack<false>(k0, ks, range, to);
  }

 private:
  template <bool whole>
  void pack(int k0, int ks, const PatchRange& range, float* to) const {
    PatchCursor cursor(patches, k0);
    for (int p = 0; p < ks; ++p, cursor.next())
      cursor.vectors<whole>(range, [&](int vector) {
        const int panel = vector / 2 * panel_width;
        return to + panel * ks + p * packed_width(range.count, panel) + vector % 2 * lanes;
      });
  }
};

}  // namespace kagami::cpu::KAGAMI_ISA
