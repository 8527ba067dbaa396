#pragma once
// Which pixels a pooling window covers, for every back end.
#include "kernels/pool.h"

namespace kagami {

/// The part of a window inside the image. Row i of the window is row top + i of the image, for i in [first_row,
/// last_row); columns likewise.
struct PoolWindow {
  int top, left, first_row, last_row, first_column, last_column;
};
KAGAMI_HD inline PoolWindow pool_window(const PoolShape& shape, int p, int q) {
  const int top = p * shape.stride - shape.pad, left = q * shape.stride - shape.pad;
  return {top,
          left,
          top < 0 ? -top : 0,
          shape.kernel < shape.h - top ? shape.kernel : shape.h - top,
          left < 0 ? -left : 0,
          shape.kernel < shape.w - left ? shape.kernel : shape.w - left};
}

}  // namespace kagami
