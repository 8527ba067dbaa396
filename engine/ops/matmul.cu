#include "kernels/matmul.h"

#include <limits>

#include "engine/broadcast.h"
#include "engine/dispatch.h"
#include "engine/ops.h"

namespace kagami {
namespace {

/// One operand: `count` matrices of rows x columns as stored, `step` elements from one to the next (0: the same one).
struct Matrices {
  std::int64_t rows, columns, count;
  bool transpose;
  std::int64_t step() const { return count == 1 ? 0 : rows * columns; }
  std::int64_t height() const { return transpose ? columns : rows; }  // of op(A)
  std::int64_t width() const { return transpose ? rows : columns; }
};

Matrices matrices(const Tensor& t, bool transpose) {
  const std::int64_t rows = t.shape(-2), columns = t.shape(-1);
  return {rows, columns, t.rank() == 2 ? 1 : t.numel() / (rows * columns), transpose};
}

/// Matrix `i` of a batch (all of them where i < 0): C (+)= op(A) op(B).
void multiply(const Matrices& a, const Tensor& a_values, const Matrices& b, const Tensor& b_values, const Tensor& c,
              std::int64_t batch, std::int64_t first, Accumulate accumulate) {
  MatmulShape shape{.m = static_cast<int>(a.height()),
                    .n = static_cast<int>(b.width()),
                    .k = static_cast<int>(a.width()),
                    .batch = static_cast<int>(batch),
                    .lda = a.columns,
                    .ldb = b.columns,
                    .ldc = b.width(),
                    .stride_a = a.step(),
                    .stride_b = b.step(),
                    .stride_c = a.height() * b.width()};
  dispatch("matmul", c, [&](auto device, auto zero) {
    using T = decltype(zero);
    matmul(device, shape, a.transpose, b.transpose, a_values.data<T>() + first * a.step(),
           b_values.data<T>() + first * b.step(), c.data<T>(), accumulate);
  });
}

/// The gradient of one operand: op(A) op(B) for every matrix, summed where the operand is shared by the batch.
void add_product(Gradients& d, int input, Matrices a, const Tensor& a_values, Matrices b, const Tensor& b_values,
                 std::int64_t batch, bool shared) {
  const Gradients::Target target = d.target(input);
  if (!shared) {
    multiply(a, a_values, b, b_values, target.tensor, batch, 0, target.accumulate);
    return;
  }
  for (std::int64_t i = 0; i < batch; ++i)
    multiply(a, a_values, b, b_values, target.tensor, 1, i, i == 0 ? target.accumulate : Accumulate::yes);
}

std::string operands(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  return text("a: ", describe(a), transpose_a ? " transposed" : "", ", b: ", describe(b),
              transpose_b ? " transposed" : "");
}

void check_operands(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  const std::string both = operands(a, transpose_a, b, transpose_b);
  check(a && b, "matmul: an operand is empty (", both, ")");
  check(a.dtype() == b.dtype() && a.device() == b.device(), "matmul: operands differ in type (", both, ")");
  check(a.rank() >= 2 && b.rank() >= 2, "matmul: needs matrices, of rank 2 or more (", both, ")");
  check(a.numel() > 0 && b.numel() > 0, "matmul: an operand has no elements (", both, ")");
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  for (const Tensor& t : {a, b})
    check(t.shape(-1) <= most && t.shape(-2) <= most, "matmul: a matrix has more than ", most, " rows or columns (",
          both, ")");
  const std::int64_t inner_a = matrices(a, transpose_a).width(), inner_b = matrices(b, transpose_b).height();
  check(inner_a == inner_b, "matmul: the inner axes are ", inner_a, " and ", inner_b, " (", both, ")");
  bool same = a.rank() == b.rank();
  for (int axis = 0; same && axis < a.rank() - 2; ++axis) same = a.shape(axis) == b.shape(axis);
  check(same || a.rank() == 2 || b.rank() == 2, "matmul: the leading axes differ (", both,
        "); make them equal, or one operand a single matrix");
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  check_operands(a, b, transpose_a, transpose_b);
  Matrices left = matrices(a, transpose_a), right = matrices(b, transpose_b);
  Shape result = a.rank() > 2 ? a.shape() : b.shape();
  result[-2] = left.height();
  result[-1] = right.width();
  if (b.rank() == 2 && !transpose_a) left = {left.rows * left.count, left.columns, 1, false};  // one tall matrix
  const std::int64_t batch = std::max(left.count, right.count);
  const Tensor c = Tensor::empty(result, a.dtype(), a.device());
  multiply(left, a, right, b, c, batch, 0, Accumulate::no);
  const auto backward = [=, a = a.detach(), b = b.detach()](const Tensor& dc, Gradients& d) {
    const auto of = [](Matrices m, bool turned) { return Matrices{m.rows, m.columns, m.count, m.transpose != turned}; };
    const Matrices g{left.height(), right.width(), batch, false};
    if (d.wants(0)) {
      const bool shared = left.count < batch;
      if (left.transpose) {
        add_product(d, 0, of(right, false), b, of(g, true), dc, batch, shared);
      } else {
        add_product(d, 0, g, dc, of(right, true), b, batch, shared);
      }
    }
    if (d.wants(1)) {
      const bool shared = right.count < batch;
      if (right.transpose) {
        add_product(d, 1, of(g, true), dc, of(left, false), a, batch, shared);
      } else {
        add_product(d, 1, of(left, true), a, g, dc, batch, shared);
      }
    }
  };
  return record("matmul", {a, b}, c, backward);
}

}  // namespace kagami
