#pragma once
// Matrix product, batched: C = op(A) op(B) + bias, row-major.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

/// op(A): [m,k], op(B): [k,n], C: [m,n]. lda, ldb, ldc: elements from one row to the next of the matrix as it is stored
/// (A transposed is stored [k,m]); stride_*: elements from one matrix of the batch to the next (0 repeats one).
struct MatmulShape {
  int m, n, k, batch = 1;
  std::int64_t lda, ldb, ldc, stride_a = 0, stride_b = 0, stride_c = 0;
};

/// `bias` [n] is added to every row of C; null adds nothing.
template <class T>
void matmul(Cpu device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const T* a, const T* b, T* c,
            Accumulate accumulate, const Wide<T>* bias = nullptr);

#if KAGAMI_HAS_CUDA
/// Out: T, or Wide<T>.
template <class T, class Out>
void matmul(Cuda device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const T* a, const T* b, Out* c,
            Accumulate accumulate, const Wide<T>* bias = nullptr);
#endif

}  // namespace kagami
