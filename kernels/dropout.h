#pragma once
// Dropout (Srivastava et al. 2014), scaled in training: kept values are divided by the probability to be kept.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/philox.h"
#include "kernels/types.h"

namespace kagami {

/// to[i] (+)= from[i] / (1 - probability) where element i is kept, 0 where it is dropped. Word i % 4 of block i / 4 of
/// `random` decides, so the backward pass draws the forward pass's numbers and needs no mask. count <= 2^34.
template <class T>
void dropout(Cpu device, const Philox& random, double probability, std::int64_t count, const T* from, T* to,
             Accumulate accumulate);

}  // namespace kagami
