#pragma once
// The size of a matrix product, for tests on every device.
#include "kernels/matmul.h"

namespace kagami {

struct MatmulCase {
  int m, n, k, batch = 1;
  int padding = 0;  // elements between rows, and between matrices
};

inline MatmulShape shape_of(const MatmulCase& t, bool transpose_a, bool transpose_b) {
  MatmulShape shape{t.m,
                    t.n,
                    t.k,
                    t.batch,
                    (transpose_a ? t.m : t.k) + t.padding,
                    (transpose_b ? t.k : t.n) + t.padding,
                    t.n + t.padding};
  shape.stride_a = (transpose_a ? t.k : t.m) * shape.lda + t.padding;
  shape.stride_b = (transpose_b ? t.n : t.k) * shape.ldb + t.padding;
  shape.stride_c = t.m * shape.ldc + t.padding;
  return shape;
}

}  // namespace kagami
