#pragma once
// Softmax along the middle of [outer, count, inner], and cross-entropy of rows. Each value is shifted by the largest of
// its row, so nothing overflows; sums are taken in double.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

struct SoftmaxShape {
  std::int64_t outer, count, inner;
};

/// y = e^x / sum e^x, or its logarithm.
template <class T>
void softmax_forward(Cpu device, const SoftmaxShape& shape, bool logarithm, const T* x, T* y);

/// dx (+)= y (dy - sum dy y), or dy - e^y sum dy for the logarithm.
template <class T>
void softmax_backward(Cpu device, const SoftmaxShape& shape, bool logarithm, const T* y, const T* dy, T* dx,
                      Accumulate accumulate);

/// losses[r] = -log softmax(logits[r])[labels[r]] for `rows` rows of `classes` logits; log_probabilities is kept for
/// the gradient. Labels are within [0, classes), or negative: such a row has no loss and no gradient.
template <class T>
void cross_entropy_forward(Cpu device, std::int64_t rows, std::int64_t classes, const T* logits,
                           const std::int32_t* labels, T* log_probabilities, T* losses);

/// dlogits (+)= scale (softmax - one-hot label).
template <class T>
void cross_entropy_backward(Cpu device, std::int64_t rows, std::int64_t classes, const T* log_probabilities,
                            const std::int32_t* labels, T scale, T* dlogits, Accumulate accumulate);

}  // namespace kagami
