#pragma once
// What products with a weight share. For engine/ops only.
#include <string_view>

#include "engine/weight.h"

namespace kagami::detail {

/// The operands of a product of x with a weight, both of one type: bf16 where either is, else as they are. `x` is in
/// the graph; `w.master` is the given weight's.
struct Operands {
  Tensor x;
  Weight w;
};
/// Throws, naming the op, where types or devices do not fit, or the weight's copy is older than its master.
Operands operands_of(std::string_view op, const Tensor& x, const Weight& w);

/// The same weight outside the graph, for a backward function to keep.
Weight detached(const Weight& w);

/// The device with the weight's arithmetic.
inline Cpu arithmetic_of(Cpu device, const Weight&) { return device; }
#if KAGAMI_HAS_CUDA
inline Cuda arithmetic_of(Cuda device, const Weight& w) {
  device.tf32 = w.tf32;
  return device;
}
#endif

}  // namespace kagami::detail
