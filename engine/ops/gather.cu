#include "engine/dispatch.h"
#include "engine/ops.h"
#include "engine/reduce.h"
#include "kernels/copy.h"

namespace kagami {
namespace {

void check_indices(const Tensor& x, const Tensor& indices, int axis) {
  check(x && indices, "gather: an input is empty (x: ", describe(x), ", indices: ", describe(indices), ")");
  check(indices.dtype() == DType::i32 && indices.rank() == 1, "gather: indices are one row of i32, not ",
        describe(indices));
  check(indices.device() == x.device(), "gather: x and indices are on different devices");
  const std::vector<std::int32_t> index = indices.to_host<std::int32_t>();
  const std::int64_t extent = x.shape(axis);
  for (std::size_t i = 0; i < index.size(); ++i)
    check(index[i] >= 0 && index[i] < extent, "gather: indices[", i, "] = ", index[i], " is outside axis ", axis,
          " of x (", describe(x), ")");
}

}  // namespace

Tensor gather(const Tensor& x, const Tensor& indices, int axis) {
  check_indices(x, indices, axis);
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
  return record("gather", {x}, y, [seen, count, indices = indices.detach()](const Tensor& dy, Gradients& d) {
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
