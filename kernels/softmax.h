#pragma once
// Softmax along the middle of [outer, count, inner], and cross-entropy of rows. Each value is shifted by the largest of
// its row, so nothing overflows; sums are taken in double, on CUDA in compensated floats.
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

/// dlogits (+)= dloss / count (softmax - one-hot label): the loss is the sum of losses over *count, dloss one number.
template <class T>
void cross_entropy_backward(Cpu device, std::int64_t rows, std::int64_t classes, const T* log_probabilities,
                            const std::int32_t* labels, const T* dloss, const std::int32_t* count, T* dlogits,
                            Accumulate accumulate);

#if KAGAMI_HAS_CUDA
template <class T>
void softmax_forward(Cuda device, const SoftmaxShape& shape, bool logarithm, const T* x, T* y);
template <class T>
void softmax_backward(Cuda device, const SoftmaxShape& shape, bool logarithm, const T* y, const T* dy, T* dx,
                      Accumulate accumulate);
template <class T>
void cross_entropy_forward(Cuda device, std::int64_t rows, std::int64_t classes, const T* logits,
                           const std::int32_t* labels, Wide<T>* log_probabilities, Wide<T>* losses);
template <class T>
void cross_entropy_backward(Cuda device, std::int64_t rows, std::int64_t classes, const Wide<T>* log_probabilities,
                            const std::int32_t* labels, const Wide<T>* dloss, const std::int32_t* count, T* dlogits,
                            Accumulate accumulate);
#endif

}  // namespace kagami
