#include "engine/dispatch.h"
#include "engine/ops.h"
#include "kernels/pool.h"

namespace kagami {

Tensor max_pool(const Tensor& x, int kernel, int stride, int pad) {
  constexpr const char* op = "max_pool";
  check(bool(x) && x.rank() == 4, op, ": x must be [n,h,w,c], not ", describe(x));
  check(kernel >= 1 && kernel <= 15 && stride >= 1 && pad >= 0 && pad <= kernel / 2, op, ": kernel ", kernel,
        " (1 to 15), stride ", stride, " (at least 1) or pad ", pad, " (at most kernel / 2) is out of range");
  auto size = [&](int axis) { return static_cast<int>(x.shape(axis)); };
  const PoolShape shape{size(0), size(1), size(2), size(3), kernel, stride, pad};
  check(shape.h + 2 * pad >= kernel && shape.w + 2 * pad >= kernel, op, ": the window of ", kernel,
        " is larger than the padded image (x: ", describe(x), ", pad ", pad, ')');
  const Shape out{shape.n, shape.out_h(), shape.out_w(), shape.c};
  const Tensor y = Tensor::empty(out, x.dtype(), x.device());
  const Tensor winner = recording({x}) ? Tensor::empty(out, DType::u8, x.device()) : Tensor();
  dispatch(op, x, [&](auto device, auto zero) {
    using T = decltype(zero);
    max_pool_forward(device, shape, x.data<T>(), y.data<T>(), winner ? winner.data<std::uint8_t>() : nullptr);
  });
  if (!winner) return y;
  return record(op, {x}, y, [shape, winner](const Tensor& dy, Gradients& d) {
    const auto [dx, accumulate] = d.target(0);
    dispatch(op, dy, [&, &dx = dx, &accumulate = accumulate](auto device, auto zero) {
      using T = decltype(zero);
      max_pool_backward(device, shape, dy.data<T>(), winner.data<std::uint8_t>(), dx.template data<T>(), accumulate);
    });
  });
}

}  // namespace kagami
