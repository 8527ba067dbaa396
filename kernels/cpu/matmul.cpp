#include "kernels/matmul.h"

#include "kernels/cpu/isa/matmul.h"
#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

const cpu::MatmulKernels& kernels() {
  return cpu::select(cpu::baseline::matmul_kernels, cpu::avx2::matmul_kernels, cpu::avx512::matmul_kernels);
}

/// One row of C: row += a[p] B[p,:] for every p, so each element is added up in one fixed order.
void add_row(const MatmulShape& shape, const double* a, std::int64_t a_step, const double* b, std::int64_t ldb,
             double* row) {
  for (int p = 0; p < shape.k; ++p) {
    const double scale = a[p * a_step];
    const double* from = b + p * ldb;
    for (int j = 0; j < shape.n; ++j) row[j] += scale * from[j];
  }
}

/// B stored [n,k] as [k,n].
void transposed(const MatmulShape& shape, const double* b, double* to) {
  cpu::parallel_for(shape.k, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p)
      for (int j = 0; j < shape.n; ++j) to[p * shape.n + j] = b[j * shape.ldb + p];
  });
}

/// ReLU; NaN stays NaN.
template <class T>
void cut(T* row, int count) {
  for (int j = 0; j < count; ++j) row[j] = row[j] < T(0) ? T(0) : row[j];
}

}  // namespace

/// Plain loops.
template <>
void matmul(Cpu device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const double* a, const double* b,
            double* c, Accumulate accumulate, const MatmulEpilogue<double>& epilogue) {
  const Scratch<double> turned(device.memory, transpose_b ? std::size_t(shape.k) * shape.n : 0);
  for (int i = 0; i < shape.batch; ++i) {
    const double *a_i = a + i * shape.stride_a, *b_i = b + i * shape.stride_b;
    if (transpose_b) transposed(shape, b_i, turned.data());
    cpu::parallel_for(shape.m, 8, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        double* to = c + i * shape.stride_c + row * shape.ldc;
        for (int j = 0; j < shape.n; ++j)
          to[j] = (accumulate == Accumulate::yes ? to[j] : 0.0) + (epilogue.bias ? epilogue.bias[j] : 0.0);
        add_row(shape, a_i + row * (transpose_a ? 1 : shape.lda), transpose_a ? shape.lda : 1,
                transpose_b ? turned.data() : b_i, transpose_b ? shape.n : shape.ldb, to);
        if (epilogue.relu) cut(to, shape.n);
      }
    });
  }
}

template <>
void matmul(Cpu device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const float* a, const float* b,
            float* c, Accumulate accumulate, const MatmulEpilogue<float>& epilogue) {
  if (shape.m == 0 || shape.n == 0) return;
  cpu::MatrixProduct product{a,
                             b,
                             c,
                             epilogue.bias,
                             shape.m,
                             shape.n,
                             shape.k,
                             shape.lda,
                             shape.ldb,
                             shape.ldc,
                             transpose_a,
                             transpose_b,
                             accumulate == Accumulate::yes};
  // A few large matrices are each shared by all threads; of many, each is one thread's.
  const bool many = shape.batch >= 8;
  const std::size_t each = kernels().scratch(product, many ? 1 : cpu::threads());
  const Scratch<float> scratch(device.memory, each * (many ? cpu::threads() : 1));
  const auto run = [&](std::int64_t i, int worker) {
    cpu::MatrixProduct one = product;
    one.a += i * shape.stride_a;
    one.b += i * shape.stride_b;
    one.c += i * shape.stride_c;
    kernels().run(one, scratch.data() + worker * each);
  };
  if (many)
    cpu::parallel_items(shape.batch, run);
  else
    for (int i = 0; i < shape.batch; ++i) run(i, 0);
  if (!epilogue.relu) return;
  cpu::parallel_for(std::int64_t{shape.batch} * shape.m, 8, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row)
      cut(c + row / shape.m * shape.stride_c + row % shape.m * shape.ldc, shape.n);
  });
}

}  // namespace kagami
