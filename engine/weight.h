#pragma once
// What ops take for a matrix or a convolution kernel: the values the optimizer keeps, and the copies kernels read.
#include <utility>

#include "engine/tensor.h"

namespace kagami {

/// A plain tensor is a weight too. On the CPU and in fp32 `compute` is the master itself and `compute_flipped` empty;
/// in bf16 they are copies that belong to Params (`compute_flipped`: channels, rows, columns, out, for data gradients).
struct Weight {
  Weight() = default;
  Weight(Tensor values) : master(std::move(values)), compute(master) {}  // NOLINT: implicit on purpose

  Tensor master;  ///< receives the gradient
  Tensor compute;
  Tensor compute_flipped;
};

}  // namespace kagami
