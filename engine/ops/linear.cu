#include <limits>

#include "engine/broadcast.h"
#include "engine/dispatch.h"
#include "engine/ops.h"
#include "kernels/matmul.h"

namespace kagami {
namespace {

void check_operands(const Tensor& x, const Tensor& w, const Tensor& bias) {
  check(x && w, "linear: an operand is empty (x: ", describe(x), ", w: ", describe(w), ")");
  check(w.rank() == 2 && x.rank() >= 1 && x.shape(-1) == w.shape(1), "linear: x has ", x.rank() ? x.shape(-1) : 1,
        " features (x: ", describe(x), ") but w expects ", w.rank() ? w.shape(-1) : 1, " (w: ", describe(w),
        "; w is [out,in])");
  check(x.dtype() == w.dtype() && x.device() == w.device(), "linear: operands differ in type (x: ", describe(x),
        ", w: ", describe(w), ")");
  check(x.numel() > 0 && w.numel() > 0, "linear: an operand has no elements (x: ", describe(x), ", w: ", describe(w),
        ")");
  check(std::max(x.numel() / x.shape(-1), w.numel()) <= std::numeric_limits<int>::max(), "linear: x (", describe(x),
        ") has more rows, or w (", describe(w), ") more elements, than fit a matrix product");
  if (!bias) return;
  check(bias.shape() == Shape{w.shape(0)} && bias.dtype() == x.dtype(), "linear: the bias is ", describe(bias),
        " but w (", describe(w), ") gives ", w.shape(0), " features");
}

}  // namespace

Tensor linear(const Tensor& x, const Weight& weight, const Tensor& bias) {
  const Tensor& w = weight.master;
  check_operands(x, w, bias);
  const int in = static_cast<int>(w.shape(1)), out = static_cast<int>(w.shape(0));
  const int rows = static_cast<int>(x.numel() / in);
  Shape result = x.shape();
  result[-1] = out;
  const Tensor y = Tensor::empty(result, x.dtype(), x.device());
  dispatch("linear", x, [&](auto device, auto zero) {
    using T = decltype(zero);
    const MatmulShape shape{.m = rows, .n = out, .k = in, .lda = in, .ldb = in, .ldc = out};
    matmul(device, shape, false, true, x.data<T>(), weight.compute.data<T>(), y.data<T>(), Accumulate::no,
           bias ? bias.data<T>() : nullptr);
  });
  const auto backward = [=, x = x.detach(), w = weight.compute.detach()](const Tensor& dy, Gradients& d) {
    dispatch("linear", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      if (d.wants(0)) {
        const Gradients::Target dx = d.target(0);
        const MatmulShape shape{.m = rows, .n = in, .k = out, .lda = out, .ldb = in, .ldc = in};
        matmul(device, shape, false, false, dy.data<T>(), w.data<T>(), dx.tensor.data<T>(), dx.accumulate);
      }
      if (d.wants(1)) {
        const Gradients::Target dw = d.target(1);
        const MatmulShape shape{.m = out, .n = in, .k = rows, .lda = out, .ldb = in, .ldc = in};
        matmul(device, shape, true, false, dy.data<T>(), x.data<T>(), dw.tensor.data<T>(), dw.accumulate);
      }
    });
    if (d.wants(2)) d.add(2, sum_to_shape(dy, {out}));
  };
  return record("linear", {x, w, bias}, y, backward);
}

}  // namespace kagami
