#include "kernels/dropout.h"

#include "engine/dispatch.h"
#include "engine/ops.h"

namespace kagami {

Tensor dropout(const Tensor& x, double probability, bool training, const Philox& random, const StepScalars* step) {
  check(bool(x), "dropout: the input is empty");
  check(probability >= 0 && probability < 1, "dropout: the probability is ", probability,
        "; it must be at least 0 and below 1");
  check(x.numel() <= std::int64_t{1} << 34, "dropout: x (", describe(x),
        ") has more elements than a stream of random numbers");
  if (!training || probability == 0) return x;
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const auto apply = [probability, random, step](const Tensor& from, const Tensor& to, Accumulate accumulate) {
    dispatch("dropout", from, [&](auto device, auto zero) {
      using T = decltype(zero);
      dropout(device, random, probability, from.numel(), from.data<T>(), to.data<T>(), accumulate, step);
    });
  };
  apply(x, y, Accumulate::no);
  return record("dropout", {x}, y, [apply](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dx = d.target(0);
    apply(dy, dx.tensor, dx.accumulate);
  });
}

}  // namespace kagami
