#pragma once
// Picks the table of kernels that was compiled for the instruction set in use.
#include "kernels/cpu/isa.h"

namespace kagami::cpu {

// Other processors have the baseline tables only; the other sets' names stand for them.
#if !defined(__x86_64__)
namespace baseline {}
namespace avx2 {
using namespace baseline;
}
namespace avx512 {
using namespace baseline;
}
#endif

/// A header declares its table once per namespace:
///   namespace baseline { extern const ConvKernels conv_kernels; }   (under __x86_64__ avx2 and avx512 alike)
/// and its caller writes select(baseline::conv_kernels, avx2::conv_kernels, avx512::conv_kernels).
template <class Table>
const Table& select([[maybe_unused]] const Table& baseline, [[maybe_unused]] const Table& avx2,
                    [[maybe_unused]] const Table& avx512) {
  switch (isa()) {
    case Isa::avx2:
      return avx2;
    case Isa::avx512:
      return avx512;
    default:
      return baseline;
  }
}

}  // namespace kagami::cpu
