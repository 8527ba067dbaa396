#pragma once
// What the numbers of a network are.
#include "engine/tensor.h"

namespace kagami {

/// `master`: parameters, their gradients, statistics, losses. `compute`: activations, and weights as products read
/// them. `tf32`: products with weights round their f32 operands to tf32 for CUDA's tensor cores; without it f32 is
/// exact.
struct Precision {
  Precision(DType full) : master(full), compute(full) {}  // NOLINT: a type alone is the precision of everything
  static Precision mixed_bf16() {
    Precision precision(DType::f32);
    precision.compute = DType::bf16;
    return precision;
  }
  static Precision tf32_products() {
    Precision precision(DType::f32);
    precision.tf32 = true;
    return precision;
  }
  /// What the CPU computes too.
  bool exact() const { return compute == master && !tf32; }

  DType master, compute;
  bool tf32 = false;
};

/// "fp32", "tf32", "bf16", "fp64".
inline std::ostream& operator<<(std::ostream& out, const Precision& precision) {
  if (precision.tf32) return out << "tf32";
  if (precision.compute == DType::bf16) return out << "bf16";
  return out << (precision.master == DType::f64 ? "fp64" : "fp32");
}

}  // namespace kagami
