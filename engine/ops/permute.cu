#include <algorithm>
#include <numeric>

#include "engine/dispatch.h"
#include "engine/ops.h"
#include "kernels/copy.h"

namespace kagami {
namespace {

static_assert(PermuteShape::max_axes == Shape::max_rank);

/// Axes that stay neighbours are merged, axes of 1 dropped.
PermuteShape permute_shape(const Shape& from, const std::vector<int>& order) {
  std::int64_t stride[Shape::max_rank] = {};
  std::int64_t running = 1;
  for (int axis = from.rank() - 1; axis >= 0; running *= from[axis--]) stride[axis] = running;
  PermuteShape shape;
  for (const int axis : order) {
    if (from[axis] == 1) continue;
    const int last = shape.axes - 1;
    if (last >= 0 && shape.stride[last] == stride[axis] * from[axis]) {
      shape.extent[last] *= from[axis];
      shape.stride[last] = stride[axis];
      continue;
    }
    shape.extent[shape.axes] = from[axis];
    shape.stride[shape.axes++] = stride[axis];
  }
  if (shape.axes == 0) {
    shape.axes = 1;
    shape.extent[0] = shape.stride[0] = 1;
  }
  return shape;
}

Tensor permuted(const Tensor& x, const std::vector<int>& order) {
  std::vector<std::int64_t> dims;
  for (const int axis : order) dims.push_back(x.shape(axis));
  const Tensor y = Tensor::empty(Shape(std::span<const std::int64_t>(dims)), x.dtype(), x.device());
  dispatch_any(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    on_device(x, [&](auto device) { permute(device, permute_shape(x.shape(), order), x.data<T>(), y.data<T>()); });
  });
  return y;
}

std::string listed(const std::vector<int>& order) {
  std::string all;
  for (const int axis : order) all += text(all.empty() ? "" : ",", axis);
  return "(" + all + ")";
}

}  // namespace

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  check(bool(x), "permute: the input is empty");
  std::vector<int> axes(static_cast<std::size_t>(x.rank())), inverse(axes.size());
  std::iota(axes.begin(), axes.end(), 0);
  check(order.size() == axes.size() && std::is_permutation(order.begin(), order.end(), axes.begin()),
        "permute: ", listed(order), " is no order of the ", x.rank(), " axes of x (", describe(x), ")");
  for (std::size_t i = 0; i < order.size(); ++i) inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  return record("permute", {x}, permuted(x, order), [inverse](const Tensor& dy, Gradients& d) {
    if (d.wants(0)) d.add(0, permuted(dy, inverse));
  });
}

Tensor transpose(const Tensor& x, int a, int b) {
  check(bool(x), "transpose: the input is empty");
  std::vector<int> order(static_cast<std::size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<std::size_t>(x.shape().index(a))], order[static_cast<std::size_t>(x.shape().index(b))]);
  return permute(x, order);
}

}  // namespace kagami
