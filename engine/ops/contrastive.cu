// NT-Xent and InfoNCE: one family of kernels.
#include "kernels/contrastive.h"

#include <cmath>
#include <limits>

#include "engine/dispatch.h"
#include "engine/ops.h"
#include "kernels/normalize.h"

namespace kagami {
namespace {

void check_temperature(const char* op, double temperature) {
  check(std::isfinite(temperature) && temperature > 0, op, ": the temperature is ", temperature,
        "; it must be above 0");
}

int checked_extent(const char* op, const Tensor& vectors, int axis) {
  check(vectors.shape(axis) <= std::numeric_limits<int>::max(), op, ": ", describe(vectors), " is too large");
  return static_cast<int>(vectors.shape(axis));
}

ContrastiveShape ntxent_shape(const Tensor& z, double temperature) {
  check(z && z.rank() == 2 && z.shape(0) >= 2 && z.shape(0) % 2 == 0 && z.shape(1) >= 1,
        "ntxent: z holds the two views of N images as [2N, dim], row i + N being the positive of row i; z is ",
        describe(z));
  check_temperature("ntxent", temperature);
  return {checked_extent("ntxent", z, 0), 0, checked_extent("ntxent", z, 1), temperature, Pairing::views};
}

ContrastiveShape info_nce_shape(const Tensor& q, const Tensor& k, const Tensor& queue, double temperature,
                                OtherKeys others) {
  check(q && q.rank() == 2 && q.shape(0) >= 1 && q.shape(1) >= 1 && k && k.shape() == q.shape() &&
            (!queue || (queue.rank() == 2 && queue.shape(1) == q.shape(1))),
        "info_nce: needs queries [n, dim], as many keys and a queue [m, dim] or none; queries: ", describe(q),
        ", keys: ", describe(k), ", queue: ", describe(queue));
  for (const Tensor& t : {k, queue})
    check(!t || (t.dtype() == q.dtype() && t.device() == q.device()), "info_nce: the queries (", describe(q), ") meet ",
          describe(t), "; convert one");
  check_temperature("info_nce", temperature);
  return {checked_extent("info_nce", q, 0), queue ? checked_extent("info_nce", queue, 0) : 0,
          checked_extent("info_nce", q, 1), temperature,
          others == OtherKeys::negatives ? Pairing::batch : Pairing::own_key};
}

/// What a forward pass gives for each row.
struct PerRow {
  PerRow(const ContrastiveShape& shape, const Tensor& like)
      : log_sums(Tensor::empty({shape.rows}, like.dtype(), like.device())),
        losses(Tensor::empty({shape.rows}, like.dtype(), like.device())),
        correct(Tensor::empty({shape.rows}, like.dtype(), like.device())) {}
  Tensor log_sums, losses, correct;
};

}  // namespace

ContrastiveLoss ntxent(const Tensor& embeddings, double temperature) {
  check(bool(embeddings), "ntxent: the input is empty");
  const Tensor z = widen(embeddings);
  const ContrastiveShape shape = ntxent_shape(z, temperature);
  const Tensor unit = Tensor::empty(z.shape(), z.dtype(), z.device());
  const Tensor norms = Tensor::empty({shape.rows}, z.dtype(), z.device());
  const PerRow row(shape, z);
  dispatch_full("ntxent", z, [&](auto device, auto zero) {
    using T = decltype(zero);
    l2_normalize_forward(device, shape.rows, shape.dim, T(l2_normalize_eps), z.data<T>(), unit.data<T>(),
                         norms.data<T>());
    contrastive_forward<T>(device, shape, unit.data<T>(), {unit.data<T>()}, row.log_sums.data<T>(),
                           row.losses.data<T>(), row.correct.data<T>());
  });
  const auto backward = [=, log_sums = row.log_sums](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dz = d.target(0);
    dispatch_full("ntxent", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      const Tensor d_unit = Tensor::empty(unit.shape(), unit.dtype(), unit.device());
      contrastive_backward<T>(device, shape, unit.data<T>(), {unit.data<T>()}, log_sums.data<T>(), log_sums.data<T>(),
                              d_unit.data<T>());
      const T scale = static_cast<T>(1 / (shape.rows * shape.temperature));
      l2_normalize_backward(device, shape.rows, shape.dim, T(l2_normalize_eps), unit.data<T>(), norms.data<T>(),
                            mul(d_unit, dy).data<T>(), scale, dz.tensor.data<T>(), dz.accumulate);
    });
  };
  return {record("ntxent", {z}, mean(row.losses), backward), mean(row.correct)};
}

ContrastiveLoss info_nce(const Tensor& queries, const Tensor& keys, const Tensor& queue, double temperature,
                         OtherKeys others) {
  const auto wide = [](const Tensor& t) { return t ? widen(t) : t; };
  const Tensor q = wide(queries), k = wide(keys), negatives = queue ? wide(queue.detach()) : queue;
  const ContrastiveShape shape = info_nce_shape(q, k, negatives, temperature, others);
  const PerRow row(shape, q);
  dispatch_full("info_nce", q, [&](auto device, auto zero) {
    using T = decltype(zero);
    contrastive_forward<T>(device, shape, q.data<T>(), {k.data<T>(), negatives ? negatives.data<T>() : nullptr},
                           row.log_sums.data<T>(), row.losses.data<T>(), row.correct.data<T>());
  });
  if (negatives) row.log_sums.mark_copy_of(negatives);
  const auto backward = [=, q = q.detach(), k = k.detach(), log_sums = row.log_sums](const Tensor& dy, Gradients& d) {
    check(!negatives || log_sums.is_copy_of(negatives),
          "info_nce: the queue was written between the loss and its backward(); write it afterwards");
    dispatch_full("info_nce", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      const auto add = [&](int input, const ContrastiveShape& of, const Tensor& rows, const Columns<T>& columns,
                           const T* row_sums, const T* column_sums) {
        if (!d.wants(input)) return;
        const Tensor gradient = Tensor::empty(rows.shape(), rows.dtype(), rows.device());
        contrastive_backward<T>(device, of, rows.data<T>(), columns, row_sums, column_sums, gradient.data<T>());
        d.add(input, scale(mul(gradient, dy), 1 / (shape.rows * shape.temperature)));
      };
      const T* sums = log_sums.data<T>();
      add(0, shape, q, {k.data<T>(), negatives ? negatives.data<T>() : nullptr}, sums, nullptr);
      add(1, shape.transposed(), k, {q.data<T>()}, nullptr, sums);
    });
  };
  return {record("info_nce", {q, k}, mean(row.losses), backward), mean(row.correct)};
}

}  // namespace kagami
