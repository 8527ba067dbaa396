#pragma once
// Matrix product, batched: C = op(A) op(B) (+ C) (+ bias) (, ReLU), row-major.
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

/// What is done to C before it is stored. A residual is what C holds, with Accumulate::yes.
template <class T>
struct MatmulEpilogue {
  const Wide<T>* bias = nullptr;  ///< [n], added to every row; or null
  bool relu = false;              ///< after everything else
};

template <class T>
void matmul(Cpu device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const T* a, const T* b, T* c,
            Accumulate accumulate, const MatmulEpilogue<T>& epilogue = {});

#if KAGAMI_HAS_CUDA
/// Out: T, or Wide<T>.
template <class T, class Out>
void matmul(Cuda device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const T* a, const T* b, Out* c,
            Accumulate accumulate, const MatmulEpilogue<T>& epilogue = {});
#endif

}  // namespace kagami
