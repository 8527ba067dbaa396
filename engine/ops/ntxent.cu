#include "kernels/ntxent.h"

#include <cmath>
#include <limits>

#include "engine/dispatch.h"
#include "engine/ops.h"
#include "kernels/normalize.h"

namespace kagami {
namespace {

NtXentShape checked_shape(const Tensor& z, double temperature) {
  check(z && z.rank() == 2 && z.shape(0) >= 2 && z.shape(0) % 2 == 0 && z.shape(1) >= 1,
        "ntxent: z holds the two views of N images as [2N, dim], row i + N being the positive of row i; z is ",
        describe(z));
  check(z.shape(0) <= std::numeric_limits<int>::max() && z.shape(1) <= std::numeric_limits<int>::max(), "ntxent: z (",
        describe(z), ") is too large");
  check(std::isfinite(temperature) && temperature > 0, "ntxent: the temperature is ", temperature,
        "; it must be above 0");
  return {static_cast<int>(z.shape(0)), static_cast<int>(z.shape(1)), temperature};
}

}  // namespace

NtXent ntxent(const Tensor& embeddings, double temperature) {
  check(bool(embeddings), "ntxent: the input is empty");
  const Tensor z = widen(embeddings);
  const NtXentShape shape = checked_shape(z, temperature);
  const auto like_z = [&](Shape s) { return Tensor::empty(s, z.dtype(), z.device()); };
  const Tensor unit = like_z(z.shape()), norms = like_z({shape.rows}), log_sums = like_z({shape.rows});
  const Tensor losses = like_z({shape.rows}), correct = like_z({shape.rows});
  dispatch_full("ntxent", z, [&](auto device, auto zero) {
    using T = decltype(zero);
    l2_normalize_forward(device, shape.rows, shape.dim, T(l2_normalize_eps), z.data<T>(), unit.data<T>(),
                         norms.data<T>());
    ntxent_forward(device, shape, unit.data<T>(), log_sums.data<T>(), losses.data<T>(), correct.data<T>());
  });
  const auto backward = [=](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dz = d.target(0);
    dispatch_full("ntxent", dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      const Tensor d_unit = Tensor::empty(unit.shape(), unit.dtype(), unit.device());
      ntxent_backward(device, shape, unit.data<T>(), log_sums.data<T>(), d_unit.data<T>());
      const T scale = static_cast<T>(1 / (shape.rows * shape.temperature));
      l2_normalize_backward(device, shape.rows, shape.dim, T(l2_normalize_eps), unit.data<T>(), norms.data<T>(),
                            mul(d_unit, dy).data<T>(), scale, dz.tensor.data<T>(), dz.accumulate);
    });
  };
  return {record("ntxent", {z}, mean(losses), backward), mean(correct)};
}

}  // namespace kagami
