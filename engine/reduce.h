#pragma once
// Reductions with their formula written once. A reduction is a struct with a name, a state that values are added to and
// that merges with the state of later values, and the derivative of its result; reduce() gives it axes, both element
// types, threads, autograd and accumulation. States are kept in double; results of bf16 values are f32.
//
//   struct Mean {
//     static constexpr const char* name = "mean";
//     struct State { double sum = 0; };
//     static void add(State& s, double x, std::int64_t index);        // the index-th value along the axis
//     static void merge(State& s, const State& other);                // other values of the same reduction
//     static double finish(const State& s, double count);             // the result
//     static double df(const State& s, double x, std::int64_t index, double count);
//   };
//   Tensor mean(const Tensor& x, int axis, bool keep_dims) { return reduce(Mean{}, x, axis, keep_dims); }
#include <vector>

#include "engine/autograd.h"
#include "engine/dispatch.h"
#include "kernels/cpu/parallel.h"

namespace kagami {

/// Broadcasting needs this one too.
struct Sum {
  static constexpr const char* name = "sum";
  struct State {
    double sum = 0;
  };
  KAGAMI_HD static void add(State& s, double x, std::int64_t) { s.sum += x; }
  KAGAMI_HD static void merge(State& s, const State& other) { s.sum += other.sum; }
  KAGAMI_HD static double finish(const State& s, double) { return s.sum; }
  KAGAMI_HD static double df(const State&, double, std::int64_t, double) { return 1; }
};

/// A tensor seen as [outer, count, inner]: the reduction runs over the middle.
struct ReduceShape {
  std::int64_t outer = 1, count = 1, inner = 1;
};

}  // namespace kagami

#include "engine/reduce_cuda.h"

namespace kagami {
namespace detail {

constexpr std::int64_t reduce_chunk = 4096;  // values that one state takes in before it is merged
constexpr std::int64_t reduce_tile = 64;     // neighbouring reductions that run side by side

/// states[i] += x[a, i] for a in [first, last), i in [0, width).
template <class Op, class T>
void reduce_columns(const Op& op, const T* x, std::int64_t inner, std::int64_t first, std::int64_t last,
                    std::int64_t width, typename Op::State* states) {
  for (std::int64_t a = first; a < last; ++a)
    for (std::int64_t i = 0; i < width; ++i) op.add(states[i], static_cast<double>(x[a * inner + i]), a);
}

/// The same for inner = 1, in interleaved states that do not wait for one another.
template <class Op, class T>
void reduce_row(const Op& op, const T* x, std::int64_t first, std::int64_t last, typename Op::State* state) {
  constexpr int ways = 8;
  typename Op::State part[ways]{};
  std::int64_t a = first;
  for (; a + ways <= last; a += ways)
    for (int w = 0; w < ways; ++w) op.add(part[w], static_cast<double>(x[a + w]), a + w);
  for (; a < last; ++a) op.add(part[0], static_cast<double>(x[a]), a);
  for (const auto& p : part) op.merge(*state, p);
}

/// states[outer, inner], the final state of every reduction, and its result y[outer, inner].
template <class Op, class T>
void reduce_forward(Cpu, const Op& op, const ReduceShape& shape, const T* x, typename Op::State* states, T* y) {
  using State = typename Op::State;
  const std::int64_t chunks = std::max<std::int64_t>(1, (shape.count + reduce_chunk - 1) / reduce_chunk);
  const std::int64_t tiles = (shape.inner + reduce_tile - 1) / reduce_tile;
  std::vector<State> parts(static_cast<std::size_t>(shape.outer * chunks * shape.inner));
  const std::int64_t work = std::min(shape.count, reduce_chunk) * std::min(shape.inner, reduce_tile);
  cpu::parallel_for(
      shape.outer * chunks * tiles, 1 + (1 << 14) / (work + 1), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t job = begin; job < end; ++job) {
          const std::int64_t tile = job % tiles, part = job / tiles, o = part / chunks;
          const std::int64_t first = part % chunks * reduce_chunk, last = std::min(shape.count, first + reduce_chunk);
          const T* from = x + o * shape.count * shape.inner + tile * reduce_tile;
          State* to = parts.data() + part * shape.inner + tile * reduce_tile;
          if (shape.inner == 1) {
            reduce_row(op, from, first, last, to);
          } else {
            reduce_columns(op, from, shape.inner, first, last, std::min(reduce_tile, shape.inner - tile * reduce_tile),
                           to);
          }
        }
      });
  for (std::int64_t o = 0; o < shape.outer; ++o)
    for (std::int64_t i = 0; i < shape.inner; ++i) {
      State state = parts[o * chunks * shape.inner + i];
      for (std::int64_t c = 1; c < chunks; ++c) op.merge(state, parts[(o * chunks + c) * shape.inner + i]);
      states[o * shape.inner + i] = state;
      y[o * shape.inner + i] = static_cast<T>(op.finish(state, static_cast<double>(shape.count)));
    }
}

/// dx[o, a, i] (+)= dy[o, i] * df(...).
template <class Op, class T>
void reduce_backward(Cpu, const Op& op, const ReduceShape& shape, const typename Op::State* states, const T* x,
                     const T* dy, T* dx, Accumulate accumulate) {
  const std::int64_t rows = shape.outer * shape.count, inner = shape.inner;
  const double count = static_cast<double>(shape.count);
  cpu::parallel_for(rows, 1 + (1 << 14) / (inner + 1), [&](std::int64_t first, std::int64_t last) {
    std::int64_t o = first / shape.count, a = first % shape.count;
    for (std::int64_t row = first; row < last; ++row) {
      for (std::int64_t i = 0; i < inner; ++i) {
        const std::int64_t at = row * inner + i, to = o * inner + i;
        const T g = dy[to] * static_cast<T>(op.df(states[to], static_cast<double>(x[at]), a, count));
        dx[at] = accumulate == Accumulate::yes ? dx[at] + g : g;
      }
      if (++a == shape.count) {
        a = 0;
        ++o;
      }
    }
  });
}

template <class Op>
Tensor reduce(const Op& op, const Tensor& x, const ReduceShape& shape, const Shape& result) {
  using State = typename Op::State;
  Tensor y = Tensor::empty(result, wide_of(x.dtype()), x.device());
  const Tensor states = Tensor::empty({y.numel() * static_cast<std::int64_t>(sizeof(State))}, DType::u8, x.device());
  dispatch(Op::name, x, [&](auto device, auto zero) {
    using T = decltype(zero);
    reduce_forward(device, op, shape, x.data<T>(), static_cast<State*>(states.raw()), y.data<Wide<T>>());
  });
  return record(Op::name, {x}, y, [op, shape, states, x = x.detach()](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dx = d.target(0);
    dispatch(Op::name, x, [&](auto device, auto zero) {
      using T = decltype(zero);
      reduce_backward(device, op, shape, static_cast<const State*>(states.raw()), x.data<T>(), dy.data<Wide<T>>(),
                      dx.tensor.data<T>(), dx.accumulate);
    });
  });
}

}  // namespace detail

/// `shape` seen from one of its axes (negative: from the end).
inline ReduceShape reduce_shape(const Shape& shape, int axis) {
  axis = shape.index(axis);
  ReduceShape r{1, shape[axis], 1};
  for (int a = 0; a < axis; ++a) r.outer *= shape[a];
  for (int a = axis + 1; a < shape.rank(); ++a) r.inner *= shape[a];
  return r;
}

/// Over one axis, which is dropped or kept as 1.
template <class Op>
Tensor reduce(const Op& op, const Tensor& x, int axis, bool keep_dims) {
  check(bool(x), Op::name, ": the input is empty");
  const ReduceShape shape = reduce_shape(x.shape(), axis);
  std::vector<std::int64_t> result(x.shape().dims().begin(), x.shape().dims().end());
  const auto reduced = result.begin() + x.shape().index(axis);
  if (keep_dims) {
    *reduced = 1;
  } else {
    result.erase(reduced);
  }
  return detail::reduce(op, x, shape, Shape(std::span<const std::int64_t>(result)));
}

/// Over all elements, to a scalar.
template <class Op>
Tensor reduce(const Op& op, const Tensor& x) {
  check(bool(x), Op::name, ": the input is empty");
  return detail::reduce(op, x, ReduceShape{1, x.numel(), 1}, Shape{});
}

}  // namespace kagami
