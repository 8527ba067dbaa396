#include "kernels/cpu/isa/matmul.h"

#include "kernels/cpu/isa/matmul_pack.h"
#include "kernels/cpu/isa/matmul_product.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

struct MatrixResult {
  const MatrixProduct& product;
  void store(int row, int column, int count, float* values) const {
    if (product.bias)
      for (int j = 0; j < count; ++j) values[j] += product.bias[column + j];
    write_row(product.c + row * product.ldc + column, values, count, product.add);
  }
};

/// A sum much longer than there are results, or a B that is read for a few rows only, is not packed as a whole.
bool is_deep(const MatrixProduct& p) {
  const std::int64_t results = std::int64_t{p.m} * p.n;
  return (p.k >= 2048 && results <= std::int64_t{64} * p.k) || (p.m <= 2 * tile_rows && p.k >= 512);
}

/// Calls f with the product object that fits.
template <class A, class F>
auto with_product(const MatrixProduct& p, const A& a, F f) {
  const PanelsOfMatrix b{p.b, static_cast<std::ptrdiff_t>(p.ldb), p.transpose_b};
  const MatrixResult c{p};
  if (is_deep(p)) return f(DeepProduct<A, PanelsOfMatrix, MatrixResult>(p.m, p.n, p.k, a, b, c));
  return f(RowProduct<A, PanelsOfMatrix, MatrixResult>(p.m, p.n, p.k, a, b, c));
}

template <class F>
auto with_product(const MatrixProduct& p, F f) {
  if (p.transpose_a) return with_product(p, ColumnsOfMatrix{p.a, p.lda, (p.k - 1) * p.lda + p.m}, f);
  return with_product(p, RowsOfMatrix{p.a, p.lda}, f);
}

std::size_t scratch_of(const MatrixProduct& p, int workers) {
  return with_product(p, [&](const auto& product) { return product.scratch(workers); });
}

void run(const MatrixProduct& p, float* scratch) {
  with_product(p, [&](const auto& product) { product.run(scratch); });
}

}  // namespace

const MatmulKernels matmul_kernels{scratch_of, run};

}  // namespace kagami::cpu::KAGAMI_ISA
