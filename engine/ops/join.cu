// concat, split and slice: a tensor seen as rows [outer] of [extent, inner] elements, of which pieces are copied.
#include <numeric>

#include "engine/dispatch.h"
#include "engine/ops.h"
#include "engine/reduce.h"
#include "kernels/copy.h"

namespace kagami {
namespace {

/// A stretch of one axis: elements [first, first + count) of `extent`, for each of `outer` rows, `inner` apart.
struct Stretch {
  std::int64_t outer, extent, inner, first, count;
};

Stretch stretch(const Shape& whole, int axis, std::int64_t first, std::int64_t count) {
  const ReduceShape seen = reduce_shape(whole, axis);
  return {seen.outer, seen.count, seen.inner, first, count};
}

template <class Device, class T>
void copy_out(Device device, const Stretch& s, const T* whole, T* part, Accumulate accumulate) {
  copy_rows(device, s.outer, s.count * s.inner, whole + s.first * s.inner, s.extent * s.inner, part, s.count * s.inner,
            accumulate);
}

template <class Device, class T>
void copy_in(Device device, const Stretch& s, const T* part, T* whole, Accumulate accumulate) {
  copy_rows(device, s.outer, s.count * s.inner, part, s.count * s.inner, whole + s.first * s.inner, s.extent * s.inner,
            accumulate);
}

Tensor copied_part(const Tensor& x, int axis, const Stretch& s) {
  Shape shape = x.shape();
  shape[axis] = s.count;
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  dispatch_any(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    on_device(x, [&](auto device) { copy_out(device, s, x.data<T>(), y.data<T>(), Accumulate::no); });
  });
  return y;
}

/// Adds the gradients of parts to the gradient of the whole; an empty one is zero. `cover`: the parts are all of it.
void add_parts(std::string_view op, Gradients& d, const std::vector<Stretch>& stretches, const std::vector<Tensor>& dys,
               bool cover) {
  if (!d.wants(0)) return;
  Gradients::Target dx = d.target(0);
  for (const Tensor& dy : dys) cover = cover && dy;
  if (dx.accumulate == Accumulate::no && !cover) {
    dx.tensor.fill(0);
    dx.accumulate = Accumulate::yes;
  }
  dispatch(op, dx.tensor, [&](auto device, auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < dys.size(); ++i)
      if (dys[i]) copy_in(device, stretches[i], dys[i].data<T>(), dx.tensor.data<T>(), dx.accumulate);
  });
}

void check_parts(const std::vector<Tensor>& parts, int axis) {
  check(!parts.empty(), "concat: nothing to join");
  for (const Tensor& part : parts) check(bool(part), "concat: an input is empty");
  const Tensor& first = parts.front();
  const int joined = first.shape().index(axis);
  for (const Tensor& part : parts) {
    bool fits = part.rank() == first.rank() && part.dtype() == first.dtype() && part.device() == first.device();
    for (int a = 0; fits && a < first.rank(); ++a) fits = a == joined || part.shape(a) == first.shape(a);
    check(fits, "concat: ", describe(part), " and ", describe(first), " differ in more than axis ", axis);
  }
}

}  // namespace

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  check_parts(parts, axis);
  Shape shape = parts.front().shape();
  shape[axis] = 0;
  for (const Tensor& part : parts) shape[axis] += part.shape(axis);
  const Tensor y = Tensor::empty(shape, parts.front().dtype(), parts.front().device());
  std::vector<Stretch> stretches;
  std::int64_t first = 0;
  for (const Tensor& part : parts) {
    stretches.push_back(stretch(shape, axis, first, part.shape(axis)));
    first += part.shape(axis);
  }
  dispatch_any(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    on_device(y, [&](auto device) {
      for (std::size_t i = 0; i < parts.size(); ++i)
        copy_in(device, stretches[i], parts[i].data<T>(), y.data<T>(), Accumulate::no);
    });
  });
  return record("concat", parts, y, [stretches](const Tensor& dy, Gradients& d) {
    for (std::size_t i = 0; i < stretches.size(); ++i) {
      if (!d.wants(static_cast<int>(i))) continue;
      const Gradients::Target part = d.target(static_cast<int>(i));
      dispatch("concat", dy, [&](auto device, auto zero) {
        using T = decltype(zero);
        copy_out(device, stretches[i], dy.data<T>(), part.tensor.data<T>(), part.accumulate);
      });
    }
  });
}

std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& sizes, int axis) {
  check(bool(x), "split: the input is empty");
  bool sound = !sizes.empty();
  for (const std::int64_t size : sizes) sound = sound && size >= 0;
  const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  check(sound && total == x.shape(axis), "split: the ", sizes.size(), " sizes add up to ", total, " but axis ", axis,
        " of x (", describe(x), ") has ", x.shape(axis));
  std::vector<Stretch> stretches;
  std::vector<Tensor> parts;
  std::int64_t first = 0;
  for (const std::int64_t size : sizes) {
    stretches.push_back(stretch(x.shape(), axis, first, size));
    parts.push_back(copied_part(x, axis, stretches.back()));
    first += size;
  }
  return record("split", {x}, parts, [stretches](const std::vector<Tensor>& dys, Gradients& d) {
    add_parts("split", d, stretches, dys, true);
  });
}

Tensor slice(const Tensor& x, int axis, std::int64_t first, std::int64_t count) {
  check(bool(x), "slice: the input is empty");
  check(first >= 0 && count >= 0 && first + count <= x.shape(axis), "slice: [", first, ", ", first + count,
        ") is outside axis ", axis, " of x (", describe(x), ")");
  if (x.shape().index(axis) == 0) return x.rows(first, count);
  const Stretch s = stretch(x.shape(), axis, first, count);
  return record("slice", {x}, copied_part(x, axis, s),
                [s](const Tensor& dy, Gradients& d) { add_parts("slice", d, {s}, {dy}, false); });
}

}  // namespace kagami
