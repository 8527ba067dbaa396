#pragma once
// Matrix products, float: what kernels/cpu/isa/matmul.cpp provides once per instruction set.
#include <cstddef>
#include <cstdint>

namespace kagami::cpu {

/// c [m,n] = op(a) [m,k] op(b) [k,n] + bias, see kernels/matmul.h. One matrix.
struct MatrixProduct {
  const float *a, *b;
  float* c;
  const float* bias;  // [n] or null
  int m, n, k;
  std::int64_t lda, ldb, ldc;
  bool transpose_a, transpose_b;
  bool add;  // to what c holds
};

/// `scratch`: how many floats `run` needs for that many workers (see parallel_items).
struct MatmulKernels {
  std::size_t (*scratch)(const MatrixProduct&, int workers);
  void (*run)(const MatrixProduct&, float* scratch);
};

namespace baseline {
extern const MatmulKernels matmul_kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const MatmulKernels matmul_kernels;
}
namespace avx512 {
extern const MatmulKernels matmul_kernels;
}
#endif

}  // namespace kagami::cpu
