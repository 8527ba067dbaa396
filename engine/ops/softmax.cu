// softmax and log_softmax over an axis; cross_entropy of rows.
#include "kernels/softmax.h"

#include "engine/dispatch.h"
#include "engine/indices.h"
#include "engine/ops.h"
#include "engine/reduce.h"

namespace kagami {
namespace {

Tensor softmax_over(const char* op, bool logarithm, const Tensor& x, int axis) {
  check(bool(x), op, ": the input is empty");
  const ReduceShape seen = reduce_shape(x.shape(), axis);
  const SoftmaxShape shape{seen.outer, seen.count, seen.inner};
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch(op, x, [&](auto device, auto zero) {
    using T = decltype(zero);
    softmax_forward(device, shape, logarithm, x.data<T>(), y.data<T>());
  });
  return record(op, {x}, y, [op, shape, logarithm, y = y.detach()](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dx = d.target(0);
    dispatch(op, dy, [&](auto device, auto zero) {
      using T = decltype(zero);
      softmax_backward(device, shape, logarithm, y.data<T>(), dy.data<T>(), dx.tensor.data<T>(), dx.accumulate);
    });
  });
}

constexpr std::int32_t ignored = -1;

/// Labels with ignored ones as -1, and how many are left.
CheckedIndices checked_labels(const Tensor& logits, const Tensor& labels, std::optional<std::int32_t> ignore) {
  check(logits && labels && logits.rank() == 2 && labels.dtype() == DType::i32 &&
            labels.shape() == Shape{logits.shape(0)},
        "cross_entropy: needs logits [rows, classes] and a label i32 [rows] for each; logits: ", describe(logits),
        ", labels: ", describe(labels));
  const Tensor here = labels.device() == logits.device() ? labels : labels.to(logits.device());
  CheckedIndices kept =
      checked_indices(here, {logits.shape(1), ignore.has_value(), ignore.value_or(0), ignored}, "cross_entropy: labels",
                      text(" is none of the ", logits.shape(1), " classes (logits: ", describe(logits), ")"));
  require_valid(kept, text("cross_entropy: no row has a label (logits: ", describe(logits), ")"));
  return kept;
}

}  // namespace

Tensor softmax(const Tensor& x, int axis) { return softmax_over("softmax", false, x, axis); }
Tensor log_softmax(const Tensor& x, int axis) { return softmax_over("log_softmax", true, x, axis); }

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, std::optional<std::int32_t> ignore) {
  const CheckedIndices kept = checked_labels(logits, labels, ignore);
  const std::int64_t rows = logits.shape(0), classes = logits.shape(1);
  const DType wide = wide_of(logits.dtype());
  const Tensor log_probabilities = Tensor::empty(logits.shape(), wide, logits.device());
  const Tensor losses = Tensor::empty({rows}, wide, logits.device());
  dispatch("cross_entropy", logits, [&](auto device, auto zero) {
    using T = decltype(zero);
    cross_entropy_forward(device, rows, classes, logits.data<T>(), kept.indices.data<std::int32_t>(),
                          log_probabilities.data<Wide<T>>(), losses.data<Wide<T>>());
  });
  const auto backward = [=](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    const Gradients::Target dx = d.target(0);
    dispatch("cross_entropy", dx.tensor, [&](auto device, auto zero) {
      using T = decltype(zero);
      cross_entropy_backward(device, rows, classes, log_probabilities.data<Wide<T>>(),
                             kept.indices.data<std::int32_t>(), dy.data<Wide<T>>(), kept.valid.data<std::int32_t>(),
                             dx.tensor.data<T>(), dx.accumulate);
    });
  };
  const Tensor loss = div(sum(losses), kept.valid.to(losses.dtype()));
  return record("cross_entropy", {logits}, loss, backward);
}

}  // namespace kagami
