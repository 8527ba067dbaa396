#pragma once
// Helpers of the augmentation's loops: partial stores and the transposition of a square of vectors.
#include <utility>

#include "kernels/cpu/isa/vector.h"

namespace kagami::cpu::KAGAMI_ISA {

/// Stores the first `count` lanes (all of them if there are more).
KAGAMI_INLINE void store_first(float* p, Float v, int count) {
  if (count >= lanes) return store(p, v);
  for (int i = 0; i < count; ++i) p[i] = v[i];
}

/// One stage of the transposition: swaps the off-diagonal halves of every 2*step square.
template <int step, int... lane>
KAGAMI_INLINE void exchange(Float* rows, std::integer_sequence<int, lane...>) {
  for (int i = 0; i < lanes; ++i) {
    if ((i & step) != 0) continue;
    const Float upper = rows[i], lower = rows[i + step];
    rows[i] = __builtin_shufflevector(upper, lower, ((lane & step) == 0 ? lane : lane - step + lanes)...);
    rows[i + step] = __builtin_shufflevector(upper, lower, ((lane & step) == 0 ? lane + step : lane + lanes)...);
  }
}

/// rows[i][j] becomes rows[j][i].
KAGAMI_INLINE void transpose(Float* rows) {
  constexpr auto all = std::make_integer_sequence<int, lanes>{};
  exchange<1>(rows, all);
  exchange<2>(rows, all);
  if constexpr (lanes > 4) exchange<4>(rows, all);
  if constexpr (lanes > 8) exchange<8>(rows, all);
}

}  // namespace kagami::cpu::KAGAMI_ISA
