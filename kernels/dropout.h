#pragma once
// Dropout (Srivastava et al. 2014), scaled in training: kept values are divided by the probability to be kept.
#include <cmath>
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/philox.h"
#include "kernels/step_scalars.h"
#include "kernels/types.h"

namespace kagami {

/// to[i] (+)= from[i] / (1 - probability) where element i is kept, 0 where it is dropped. Word i % 4 of block i / 4 of
/// `random` decides, so the backward pass draws the forward pass's numbers and needs no mask. Where `step` is given (in
/// the device's memory), its step is the last word of the counter, whatever `random` says. count <= 2^34.
template <class T>
void dropout(Cpu device, const Philox& random, double probability, std::int64_t count, const T* from, T* to,
             Accumulate accumulate, const StepScalars* step = nullptr);
#if KAGAMI_HAS_CUDA
template <class T>
void dropout(Cuda device, const Philox& random, double probability, std::int64_t count, const T* from, T* to,
             Accumulate accumulate, const StepScalars* step = nullptr);
#endif

KAGAMI_HD inline Philox of_step(const Philox& random, const StepScalars* step) {
  return step ? random.at(step->step) : random;
}

/// An element is kept where its random number, unit_float(word), is at least the probability to be dropped. In whole
/// numbers: where word / 2^8 is at least the threshold.
inline std::uint32_t dropout_threshold(double probability) {
  return static_cast<std::uint32_t>(std::ceil(probability * 0x1p24));
}
KAGAMI_HD inline bool dropout_keeps(std::uint32_t word, std::uint32_t threshold) { return word >> 8 >= threshold; }

}  // namespace kagami
