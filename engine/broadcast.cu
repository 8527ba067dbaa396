#include "engine/broadcast.h"

#include "engine/ops.h"
#include "engine/reduce.h"

namespace kagami {

Shape broadcast_shape(std::string_view op, std::span<const Tensor> inputs) {
  int rank = 0;
  for (const Tensor& t : inputs) rank = std::max(rank, t.rank());
  std::vector<std::int64_t> dims(static_cast<std::size_t>(rank), 1);
  for (const Tensor& t : inputs)
    for (int axis = 0; axis < t.rank(); ++axis) {
      std::int64_t& d = dims[static_cast<std::size_t>(rank - t.rank() + axis)];
      const std::int64_t extent = t.shape(axis);
      if (d != extent && d != 1 && extent != 1) {
        std::string shapes;
        for (const Tensor& u : inputs) shapes += text(shapes.empty() ? "" : " and ", u.shape());
        check(false, op, ": shapes ", shapes, " do not broadcast");
      }
      if (d == 1) d = extent;
    }
  return Shape(std::span<const std::int64_t>(dims));
}

std::int64_t BroadcastWalk::rows() const {
  std::int64_t rows = 1;
  for (std::size_t axis = 0; axis + 1 < extent.size(); ++axis) rows *= extent[axis];
  return rows;
}

std::int64_t BroadcastWalk::offset(std::size_t k, std::int64_t row) const {
  std::int64_t at = 0;
  for (std::size_t axis = extent.size() - 1; axis-- > 0;) {
    at += row % extent[axis] * strides[k][axis];
    row /= extent[axis];
  }
  return at;
}

BroadcastWalk broadcast_walk(const Shape& out, std::span<const Tensor> inputs) {
  const std::size_t count = inputs.size();
  std::vector<std::int64_t> extent;  // innermost first while building
  std::vector<std::vector<std::int64_t>> strides(count);
  std::vector<std::int64_t> running(count, 1);
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    std::vector<std::int64_t> stride(count);
    for (std::size_t k = 0; k < count; ++k) {
      const int own = axis - (out.rank() - inputs[k].rank());
      const std::int64_t d = own >= 0 ? inputs[k].shape(own) : 1;
      stride[k] = d == 1 ? 0 : running[k];
      running[k] *= d;
    }
    if (out[axis] == 1) continue;
    bool merges = !extent.empty();
    for (std::size_t k = 0; k < count && merges; ++k) merges = stride[k] == strides[k].back() * extent.back();
    if (merges) {
      extent.back() *= out[axis];
      continue;
    }
    extent.push_back(out[axis]);
    for (std::size_t k = 0; k < count; ++k) strides[k].push_back(stride[k]);
  }
  if (extent.empty()) {
    extent.push_back(1);
    for (auto& s : strides) s.push_back(0);
  }
  BroadcastWalk walk;
  walk.extent.assign(extent.rbegin(), extent.rend());
  for (auto& s : strides) walk.strides.emplace_back(s.rbegin(), s.rend());
  return walk;
}

Tensor sum_to_shape(const Tensor& x, const Shape& shape) {
  const int extra = x.rank() - shape.rank();
  const auto summed = [&](int axis) { return x.shape(axis) != 1 && (axis < extra || shape[axis - extra] == 1); };
  Tensor y = x.detach();
  const NoGrad no_grad;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (!summed(axis)) continue;
    ReduceShape run = reduce_shape(y.shape(), axis);  // neighbouring axes are summed as one
    Shape result = y.shape();
    result[axis] = 1;
    for (; axis + 1 < x.rank() && (summed(axis + 1) || x.shape(axis + 1) == 1); ++axis) {
      run.count *= x.shape(axis + 1);
      run.inner /= x.shape(axis + 1);
      result[axis + 1] = 1;
    }
    y = detail::reduce(Sum{}, y, run, result);
  }
  return cast(y.view(shape), wide_of(x.dtype()));
}

}  // namespace kagami
