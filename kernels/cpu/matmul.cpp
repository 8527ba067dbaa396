#include "kernels/matmul.h"

#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

/// One row of C: row += a[p] B[p,:] for every p, so each element is added up in one fixed order.
template <class T>
void add_row(const MatmulShape& shape, const T* a, std::int64_t a_step, const T* b, std::int64_t ldb, T* row) {
  for (int p = 0; p < shape.k; ++p) {
    const T scale = a[p * a_step];
    const T* from = b + p * ldb;
    for (int j = 0; j < shape.n; ++j) row[j] += scale * from[j];
  }
}

/// B stored [n,k] as [k,n].
template <class T>
void transposed(const MatmulShape& shape, const T* b, T* to) {
  cpu::parallel_for(shape.k, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p)
      for (int j = 0; j < shape.n; ++j) to[p * shape.n + j] = b[j * shape.ldb + p];
  });
}

}  // namespace

template <class T>
void matmul(Cpu device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const T* a, const T* b, T* c,
            Accumulate accumulate, const T* bias) {
  const Scratch<T> turned(device.memory, transpose_b ? std::size_t(shape.k) * shape.n : 0);
  for (int i = 0; i < shape.batch; ++i) {
    const T* a_i = a + i * shape.stride_a;
    const T* b_i = b + i * shape.stride_b;
    if (transpose_b) transposed(shape, b_i, turned.data());
    cpu::parallel_for(shape.m, 8, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        T* to = c + i * shape.stride_c + row * shape.ldc;
        for (int j = 0; j < shape.n; ++j)
          to[j] = (accumulate == Accumulate::yes ? to[j] : T{0}) + (bias ? bias[j] : T{0});
        add_row(shape, a_i + row * (transpose_a ? 1 : shape.lda), transpose_a ? shape.lda : 1,
                transpose_b ? turned.data() : b_i, transpose_b ? shape.n : shape.ldb, to);
      }
    });
  }
}

template void matmul(Cpu, const MatmulShape&, bool, bool, const float*, const float*, float*, Accumulate, const float*);
template void matmul(Cpu, const MatmulShape&, bool, bool, const double*, const double*, double*, Accumulate,
                     const double*);

}  // namespace kagami
