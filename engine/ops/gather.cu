#include "engine/dispatch.h"
#include "engine/indices.h"
#include "engine/ops.h"
#include "engine/reduce.h"
#include "kernels/copy.h"

namespace kagami {
namespace {

/// The indices, none of which reaches beyond x.
Tensor indices_within(const Tensor& x, const Tensor& indices, int axis) {
  check(x && indices, "gather: an input is empty (x: ", describe(x), ", indices: ", describe(indices), ")");
  check(indices.dtype() == DType::i32 && indices.rank() == 1, "gather: indices are one row of i32, not ",
        describe(indices));
  check(indices.device() == x.device(), "gather: x and indices are on different devices");
  return checked_indices(indices, {.extent = x.shape(axis)}, "gather: indices",
                         text(" is outside axis ", axis, " of x (", describe(x), ")"))
      .indices;
}

}  // namespace

Tensor gather(const Tensor& x, const Tensor& indices_given, int axis) {
  const Tensor indices = indices_within(x, indices_given, axis);
  const ReduceShape seen = reduce_shape(x.shape(), axis);
  const std::int64_t count = indices.numel();
  Shape shape = x.shape();
  shape[axis] = count;
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  dispatch_any(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    on_device(x, [&](auto device) {
      gather_rows(device, seen.outer, seen.count, seen.inner, indices.data<std::int32_t>(), count, x.data<T>(),
                  y.data<T>());
    });
  });
  return record("gather", {x}, y, [seen, count, indices](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dx = d.target(0);
    if (dx.accumulate == Accumulate::no) dx.tensor.fill(0);
    dispatch("gather", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      scatter_add_rows(device, seen.outer, seen.count, seen.inner, indices.data<std::int32_t>(), count, dy.data<T>(),
                       dx.tensor.data<T>());
    });
  });
}

}  // namespace kagami
