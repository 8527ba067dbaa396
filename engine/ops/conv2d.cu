#include "engine/broadcast.h"
#include "engine/dispatch.h"
#include "engine/ops.h"
#include "engine/ops/convolution.h"

namespace kagami {
namespace detail {

Conv2dShape convolution_shape(std::string_view op, const Tensor& x, const Weight& w, int stride, int pad) {
  const Tensor& weight = w.compute;
  check(bool(x) && x.rank() == 4, op, ": x must be [n,h,w,c], not ", describe(x));
  check(bool(weight) && weight.rank() == 4, op, ": w must be [k,r,s,c], not ", describe(weight));
  check(x.shape(3) == weight.shape(3), op, ": x has ", x.shape(3), " channels (x: ", describe(x), ") but w expects ",
        weight.shape(3), " (w: ", weight.shape(), ')');
  check(stride >= 1 && pad >= 0, op, ": stride ", stride, " and pad ", pad, " must be at least 1 and 0");
  auto size = [](std::int64_t n) { return static_cast<int>(n); };
  const Conv2dShape shape{size(x.shape(0)),
                          size(x.shape(1)),
                          size(x.shape(2)),
                          size(x.shape(3)),
                          size(weight.shape(0)),
                          size(weight.shape(1)),
                          size(weight.shape(2)),
                          stride,
                          pad};
  check(shape.h + 2 * pad >= shape.r && shape.w + 2 * pad >= shape.s, op, ": the kernel (w: ", weight.shape(),
        ") is larger than the padded image (x: ", describe(x), ", pad ", pad, ')');
  return shape;
}

Tensor convolution_output(const Conv2dShape& shape, const Tensor& x) {
  return Tensor::empty({shape.n, shape.out_h(), shape.out_w(), shape.k}, x.dtype(), x.device());
}

void convolution_gradients(std::string_view op, const Conv2dShape& shape, const Tensor& x, const Weight& w,
                           const Tensor& dy, Gradients& d) {
  dispatch(op, dy, [&](auto device, auto zero) {
    using T = decltype(zero);
    if (d.wants(1)) {
      const auto [dw, accumulate] = d.target(1);
      conv2d_wgrad(arithmetic_of(device, w), shape, x.data<T>(), dy.data<T>(), dw.template data<Wide<T>>(), accumulate);
    }
    if (d.wants(0)) {
      const auto [dx, accumulate] = d.target(0);
      conv2d_dgrad(arithmetic_of(device, w), shape, dy.data<T>(), weights_of<T>(w), dx.template data<T>(), accumulate);
    }
  });
}

}  // namespace detail

Tensor conv2d(const Tensor& input, const Weight& weight, int stride, int pad, const Tensor& bias) {
  constexpr const char* op = "conv2d";
  const detail::Operands operands = detail::operands_of(op, input, weight);
  const Tensor& x = operands.x;
  const Weight& w = operands.w;
  const Conv2dShape shape = detail::convolution_shape(op, x, w, stride, pad);
  check(!bias || (bias.shape() == Shape{shape.k} && bias.dtype() == wide_of(x.dtype())), op, ": bias must be [",
        shape.k, "] ", wide_of(x.dtype()), ", not ", describe(bias));
  const Tensor y = detail::convolution_output(shape, x);
  dispatch(op, x, [&](auto device, auto zero) {
    using T = decltype(zero);
    conv2d_forward(detail::arithmetic_of(device, w), shape, x.data<T>(), detail::weights_of<T>(w), y.data<T>(),
                   ConvEpilogue<T>{bias ? bias.data<Wide<T>>() : nullptr});
  });
  if (!recording({x, w.master, bias})) return y;
  return record(op, {x, w.master, bias}, y,
                [shape, x = x.detach(), w = detail::detached(w)](const Tensor& dy, Gradients& d) {
                  if (d.wants(2)) d.add(2, sum_to_shape(dy, {shape.k}));
                  detail::convolution_gradients(op, shape, x, w, dy, d);
                });
}

}  // namespace kagami
