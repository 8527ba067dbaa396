#include "engine/dispatch.h"
#include "engine/ops.h"
#include "kernels/pool.h"

namespace kagami {

Tensor global_avg_pool(const Tensor& x) {
  constexpr const char* op = "global_avg_pool";
  check(bool(x) && x.rank() == 4 && x.shape(1) * x.shape(2) > 0, op, ": x must be [n,h,w,c], not ", describe(x));
  const int n = static_cast<int>(x.shape(0)), pixels = static_cast<int>(x.shape(1) * x.shape(2));
  const int c = static_cast<int>(x.shape(3));
  const Tensor y = Tensor::empty({n, c}, x.dtype(), x.device());
  dispatch(op, x, [&](auto device, auto zero) {
    using T = decltype(zero);
    global_avg_pool_forward(device, n, pixels, c, x.data<T>(), y.data<T>());
  });
  return record(op, {x}, y, [n, pixels, c](const Tensor& dy, Gradients& d) {
    const auto [dx, accumulate] = d.target(0);
    dispatch(op, dy, [&, &dx = dx, &accumulate = accumulate](auto device, auto zero) {
      using T = decltype(zero);
      global_avg_pool_backward(device, n, pixels, c, dy.data<T>(), dx.template data<T>(), accumulate);
    });
  });
}

}  // namespace kagami
