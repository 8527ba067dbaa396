#pragma once
// e^x for a vector of floats. Include only from kernels/cpu/isa/*.cpp.
#include "kernels/cpu/isa/vector.h"

namespace kagami::cpu::KAGAMI_ISA {

/// Relative error below 2e-7 for x <= 88; 0 below -87.3; NaN stays NaN. e^x = 2^n e^r with |r| <= ln(2) / 2, and e^r by
/// its Taylor polynomial of degree 7.
KAGAMI_INLINE Float exp(Float x) {
  const Float lowest = broadcast(-87.3F);
  const Float kept = x < lowest ? lowest : x;
  const float shift = 12582912.0F;  // 1.5 2^23: adding it rounds to an integer, which is then in the low bits
  const Float shifted = kept * 1.44269504F + shift;
  const Float n = shifted - shift;
  const Float r = (kept - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two parts
  Float p = r * (1.0F / 5040) + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const Int power = (reinterpret_cast<Int>(shifted) - (0x4B400000 - 127)) << 23;
  return x < lowest ? Float{} : p * reinterpret_cast<Float>(power);
}

}  // namespace kagami::cpu::KAGAMI_ISA
