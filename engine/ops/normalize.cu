// l2_normalize and layer_norm: over the last axis.
#include "kernels/normalize.h"

#include "engine/dispatch.h"
#include "engine/ops.h"

namespace kagami {
namespace {

struct Rows {
  std::int64_t count, dim;
};

Rows rows_of(const char* op, const Tensor& x) {
  check(x && x.rank() >= 1 && x.shape(-1) > 0, op, ": needs values along the last axis of x (", describe(x), ")");
  return {x.numel() / x.shape(-1), x.shape(-1)};
}

}  // namespace

Tensor l2_normalize(const Tensor& x) {
  const Rows rows = rows_of("l2_normalize", x);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const Tensor norms = Tensor::empty({rows.count}, wide_of(x.dtype()), x.device());
  dispatch("l2_normalize", x, [&](auto device, auto zero) {
    using T = decltype(zero);
    l2_normalize_forward(device, rows.count, rows.dim, Wide<T>(l2_normalize_eps), x.data<T>(), y.data<T>(),
                         norms.data<Wide<T>>());
  });
  return record("l2_normalize", {x}, y, [rows, y = y.detach(), norms](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dx = d.target(0);
    dispatch("l2_normalize", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      l2_normalize_backward(device, rows.count, rows.dim, Wide<T>(l2_normalize_eps), y.data<T>(), norms.data<Wide<T>>(),
                            dy.data<T>(), Wide<T>(1), dx.tensor.data<T>(), dx.accumulate);
    });
  });
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  const Rows rows = rows_of("layer_norm", x);
  for (const Tensor& t : {gamma, beta})
    check(t && t.shape() == Shape{rows.dim} && t.dtype() == wide_of(x.dtype()) && t.device() == x.device(),
          "layer_norm: gamma (", describe(gamma), ") and beta (", describe(beta), ") must be [", rows.dim, "] ",
          wide_of(x.dtype()), " beside x (", describe(x), ")");
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const Tensor mean = Tensor::empty({rows.count}, wide_of(x.dtype()), x.device());
  const Tensor inverse_std = Tensor::empty({rows.count}, wide_of(x.dtype()), x.device());
  dispatch("layer_norm", x, [&](auto device, auto zero) {
    using T = decltype(zero);
    layer_norm_forward(device, rows.count, rows.dim, Wide<T>(eps), x.data<T>(), gamma.data<Wide<T>>(),
                       beta.data<Wide<T>>(), y.data<T>(), mean.data<Wide<T>>(), inverse_std.data<Wide<T>>());
  });
  const auto backward = [=, x = x.detach(), gamma = gamma.detach()](const Tensor& dy, Gradients& d) {
    dispatch("layer_norm", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      if (d.wants(0)) {
        const Gradients::Target dx = d.target(0);
        layer_norm_backward(device, rows.count, rows.dim, x.data<T>(), gamma.data<Wide<T>>(), mean.data<Wide<T>>(),
                            inverse_std.data<Wide<T>>(), dy.data<T>(), dx.tensor.data<T>(), dx.accumulate);
      }
      if (!d.wants(1) && !d.wants(2)) return;
      const Gradients::Target nothing{Tensor(), Accumulate::no};
      const Gradients::Target dgamma = d.wants(1) ? d.target(1) : nothing, dbeta = d.wants(2) ? d.target(2) : nothing;
      const auto memory = [](const Tensor& t) { return t ? t.data<Wide<T>>() : nullptr; };
      layer_norm_backward_parameters(device, rows.count, rows.dim, x.data<T>(), mean.data<Wide<T>>(),
                                     inverse_std.data<Wide<T>>(), dy.data<T>(), memory(dgamma.tensor),
                                     dgamma.accumulate, memory(dbeta.tensor), dbeta.accumulate);
    });
  };
  return record("layer_norm", {x, gamma, beta}, y, backward);
}

}  // namespace kagami
