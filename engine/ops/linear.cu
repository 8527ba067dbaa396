#include <limits>

#include "engine/broadcast.h"
#include "engine/dispatch.h"
#include "engine/elementwise.h"
#include "engine/ops.h"
#include "engine/ops/weighted.h"
#include "kernels/matmul.h"

namespace kagami {
namespace {

void check_operands(const Tensor& x, const Tensor& w, const Tensor& bias) {
  check(w.rank() == 2 && x.rank() >= 1 && x.shape(-1) == w.shape(1), "linear: x has ", x.rank() ? x.shape(-1) : 1,
        " features (x: ", describe(x), ") but w expects ", w.rank() ? w.shape(-1) : 1, " (w: ", describe(w),
        "; w is [out,in])");
  check(x.numel() > 0 && w.numel() > 0, "linear: an operand has no elements (x: ", describe(x), ", w: ", describe(w),
        ")");
  check(std::max(x.numel() / x.shape(-1), w.numel()) <= std::numeric_limits<int>::max(), "linear: x (", describe(x),
        ") has more rows, or w (", describe(w), ") more elements, than fit a matrix product");
  if (!bias) return;
  check(bias.shape() == Shape{w.shape(0)} && bias.dtype() == wide_of(x.dtype()), "linear: the bias is ", describe(bias),
        " but w (", describe(w), ") gives ", w.shape(0), " features and takes it in ", wide_of(x.dtype()));
}

/// The gradient of what ReLU got, from that of its output y.
struct BeforeRelu {
  static constexpr const char* name = "linear";
  template <class T>
  KAGAMI_HD static T f(T dy, T y) {
    return y > T(0) ? dy : T(0);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 2> df(T, T y) {
    return {y > T(0) ? T(1) : T(0), T(0)};
  }
};

}  // namespace

Tensor linear(const Tensor& input, const Weight& weight, const Tensor& bias, bool relu) {
  const detail::Operands operands = detail::operands_of("linear", input, weight);
  const Tensor& x = operands.x;
  const Weight& w = operands.w;
  check_operands(x, w.master, bias);
  const int in = static_cast<int>(w.master.shape(1)), out = static_cast<int>(w.master.shape(0));
  const int rows = static_cast<int>(x.numel() / in);
  Shape result = x.shape();
  result[-1] = out;
  const Tensor y = Tensor::empty(result, x.dtype(), x.device());
  dispatch("linear", x, [&](auto device, auto zero) {
    using T = decltype(zero);
    const MatmulShape shape{.m = rows, .n = out, .k = in, .lda = in, .ldb = in, .ldc = out};
    matmul(detail::arithmetic_of(device, w), shape, false, true, x.data<T>(), w.compute.data<T>(), y.data<T>(),
           Accumulate::no, MatmulEpilogue<T>{bias ? bias.data<Wide<T>>() : nullptr, relu});
  });
  const auto backward = [=, x = x.detach(), w = detail::detached(w), y = relu ? y.detach() : Tensor()](
                            const Tensor& given, Gradients& d) {
    const Tensor dy = y ? elementwise(BeforeRelu{}, given, y) : given;
    dispatch("linear", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      const auto arithmetic = detail::arithmetic_of(device, w);
      if (d.wants(0)) {
        const Gradients::Target dx = d.target(0);
        const MatmulShape shape{.m = rows, .n = in, .k = out, .lda = out, .ldb = in, .ldc = in};
        matmul(arithmetic, shape, false, false, dy.data<T>(), w.compute.data<T>(), dx.tensor.data<T>(), dx.accumulate);
      }
      if (d.wants(1)) {
        const Gradients::Target dw = d.target(1);
        const MatmulShape shape{.m = out, .n = in, .k = rows, .lda = out, .ldb = in, .ldc = in};
        matmul(arithmetic, shape, true, false, dy.data<T>(), x.data<T>(), dw.tensor.data<Wide<T>>(), dw.accumulate);
      }
    });
    if (d.wants(2)) d.add(2, sum_to_shape(dy, {out}));
  };
  return record("linear", {x, w.master, bias}, y, backward);
}

}  // namespace kagami
