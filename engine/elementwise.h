#pragma once
// Elementwise ops with their formula written once. An op is a struct with a name, a value f and the partial derivatives
// df; elementwise() gives it broadcasting, both element types, threads, autograd and accumulation.
//
//   struct Gelu {
//     static constexpr const char* name = "gelu";
//     template <class T> KAGAMI_HD static T f(T x);
//     template <class T> KAGAMI_HD static Vec<T, 1> df(T x);
//   };
//   Tensor gelu(const Tensor& x) { return elementwise(Gelu{}, x); }
//
// An op with parameters (a factor, a bound) keeps them as members and has non-static f and df.
#include <array>
#include <cmath>
#include <utility>

#include "engine/autograd.h"
#include "engine/broadcast.h"
#include "engine/dispatch.h"
#include "engine/elementwise_cuda.h"
#include "engine/ops.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace detail {

constexpr std::int64_t elementwise_grain = 1 << 14;  // elements of a piece of work

/// Calls row(offset of the row in the output, offsets in the inputs, first, last) for pieces of rows.
template <int N, class F>
void for_each_row(const BroadcastWalk& walk, F&& row) {
  const std::int64_t length = walk.row_length(), rows = walk.rows();
  if (length == 0 || rows == 0) return;
  if (rows == 1) {
    cpu::parallel_for(length, elementwise_grain, [&](std::int64_t first, std::int64_t last) {
      row(std::int64_t{0}, std::array<std::int64_t, N>{}, first, last);
    });
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, elementwise_grain / length);
  cpu::parallel_for(rows, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      std::array<std::int64_t, N> at;
      for (std::size_t k = 0; k < N; ++k) at[k] = walk.offset(k, r);
      row(r * length, at, std::int64_t{0}, length);
    }
  });
}

template <class Op, class T, std::size_t... K>
void elementwise_rows(const Op& op, const BroadcastWalk& walk, const std::array<const T*, sizeof...(K)>& x, T* y,
                      std::index_sequence<K...>) {
  constexpr int N = sizeof...(K);
  bool dense = walk.rows() == 1;
  for (std::size_t k = 0; k < N; ++k) dense = dense && walk.strides[k].back() == 1;
  for_each_row<N>(walk,
                  [&](std::int64_t out, const std::array<std::int64_t, N>& at, std::int64_t first, std::int64_t last) {
                    if (dense) {
                      for (std::int64_t i = first; i < last; ++i) y[i] = op.template f<T>(x[K][i]...);
                      return;
                    }
                    const std::array<std::int64_t, N> step{walk.strides[K].back()...};
                    for (std::int64_t i = first; i < last; ++i)
                      y[out + i] = op.template f<T>(x[K][at[K] + i * step[K]]...);
                  });
}

/// dx[k][i] (+)= dy[i] * df(x...)[k], written at the output's own index; null where no gradient is wanted.
template <class Op, class T, std::size_t... K>
void elementwise_gradient_rows(const Op& op, const BroadcastWalk& walk, const std::array<const T*, sizeof...(K)>& x,
                               const T* dy, const std::array<T*, sizeof...(K)>& dx,
                               const std::array<Accumulate, sizeof...(K)>& accumulate, std::index_sequence<K...>) {
  constexpr int N = sizeof...(K);
  const std::array<std::int64_t, N> step{walk.strides[K].back()...};
  for_each_row<N>(walk,
                  [&](std::int64_t out, const std::array<std::int64_t, N>& at, std::int64_t first, std::int64_t last) {
                    for (std::int64_t i = first; i < last; ++i) {
                      const Vec<T, N> d = op.template df<T>(x[K][at[K] + i * step[K]]...);
                      for (std::size_t k = 0; k < N; ++k) {
                        if (!dx[k]) continue;
                        const T g = dy[out + i] * d.v[k];
                        dx[k][out + i] = accumulate[k] == Accumulate::yes ? dx[k][out + i] + g : g;
                      }
                    }
                  });
}

template <class Op, class T, std::size_t N>
void elementwise_forward(Cpu, const Op& op, const BroadcastWalk& walk, const std::array<const T*, N>& x, T* y) {
  elementwise_rows(op, walk, x, y, std::make_index_sequence<N>{});
}
template <class Op, class T, std::size_t N>
void elementwise_backward(Cpu, const Op& op, const BroadcastWalk& walk, const std::array<const T*, N>& x, const T* dy,
                          std::array<T*, N> dx, const std::array<Wide<T>*, N>& apart,
                          const std::array<Accumulate, N>& accumulate) {
  for (std::size_t k = 0; k < N; ++k)
    if (apart[k]) dx[k] = apart[k];
  elementwise_gradient_rows(op, walk, x, dy, dx, accumulate, std::make_index_sequence<N>{});
}

template <class Op, std::size_t N>
Tensor elementwise(const Op& op, const std::array<Tensor, N>& inputs) {
  for (const Tensor& t : inputs) {
    check(bool(t), Op::name, ": an input is empty");
    check(t.dtype() == inputs[0].dtype() && t.device() == inputs[0].device(), Op::name,
          ": inputs differ in type: ", describe(inputs[0]), " and ", describe(t));
  }
  const Shape shape = broadcast_shape(Op::name, inputs);
  Tensor y = Tensor::empty(shape, inputs[0].dtype(), inputs[0].device());
  auto walk = std::make_shared<const BroadcastWalk>(broadcast_walk(shape, inputs));
  dispatch(Op::name, y, [&](auto device, auto zero) {
    using T = decltype(zero);
    std::array<const T*, N> x;
    for (std::size_t k = 0; k < N; ++k) x[k] = inputs[k].template data<T>();
    elementwise_forward(device, op, *walk, x, y.data<T>());
  });
  const std::vector<Tensor> edges(inputs.begin(), inputs.end());
  if (!recording(edges)) return y;
  std::array<Tensor, N> saved;
  for (std::size_t k = 0; k < N; ++k) saved[k] = inputs[k].detach();
  return record(Op::name, edges, y, [op, saved, walk](const Tensor& dy, Gradients& d) {
    dispatch(Op::name, dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      std::array<const T*, N> x;
      std::array<T*, N> dx{};
      std::array<Accumulate, N> accumulate{};
      // Gradients that cannot be written in place: stretched inputs, one tensor given twice. They are summed, so beside
      // bf16 they are f32.
      std::array<Tensor, N> apart;
      std::array<Wide<T>*, N> apart_data{};
      for (std::size_t k = 0; k < N; ++k) {
        x[k] = saved[k].template data<T>();
        if (!d.wants(static_cast<int>(k))) continue;
        bool in_place = saved[k].shape() == dy.shape();
        for (std::size_t j = 0; j < N; ++j) in_place = in_place && (j == k || !same_memory(saved[j], saved[k]));
        if (in_place) {
          const Gradients::Target target = d.target(static_cast<int>(k));
          dx[k] = target.tensor.template data<T>();
          accumulate[k] = target.accumulate;
        } else {
          apart[k] = Tensor::empty(dy.shape(), wide_of(dy.dtype()), dy.device());
          apart_data[k] = apart[k].template data<Wide<T>>();
        }
      }
      elementwise_backward(device, op, *walk, x, dy.data<T>(), dx, apart_data, accumulate);
      for (std::size_t k = 0; k < N; ++k)
        if (apart[k]) d.add(static_cast<int>(k), cast(sum_to_shape(apart[k], saved[k].shape()), dy.dtype()));
    });
  });
}

}  // namespace detail

/// y = f(x, xs...) element by element; shapes broadcast. Throws when they do not, or when types or devices differ.
template <class Op, class... Tensors>
Tensor elementwise(const Op& op, const Tensor& x, const Tensors&... xs) {
  return detail::elementwise<Op, 1 + sizeof...(xs)>(op, {x, xs...});
}

}  // namespace kagami
