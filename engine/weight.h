#pragma once
// The handle through which modules hand their weights to ops.
#include "engine/tensor.h"

namespace kagami {

/// `master` is the parameter in f32 (or f64) and takes the gradient; `compute` is what kernels read: the master itself
/// where it is used as it is, or a rounded copy that Params keeps up to date. `compute_flipped` is a copy for the data
/// gradient on devices that want one, or empty.
struct Weight {
  Weight() = default;
  Weight(Tensor weight) : master(weight), compute(std::move(weight)) {}  // NOLINT: a tensor is a weight
  Tensor master;
  Tensor compute;
  Tensor compute_flipped;
  bool tf32 = false;  ///< products with it round their f32 operands to tf32
};

}  // namespace kagami
