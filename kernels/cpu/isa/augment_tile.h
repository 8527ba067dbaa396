#pragma once
// Helpers of the augmentation's loops: partial stores and the transposition of a square of vectors.
#include "kernels/cpu/isa/vector.h"

namespace kagami::cpu::KAGAMI_ISA {

/// Stores the first `count` lanes (all of them if there are more).
KAGAMI_INLINE void store_first(float* p, Float v, int count) {
  if (count >= lanes) return store(p, v);
  for (int i = 0; i < count; ++i) p[i] = v[i];
}

/// One stage of the transposition: swaps the off-diagonal halves of every 2*step square.
template <int step>
KAGAMI_INLINE void exchange(Float* rows) {
  Int keep_low, keep_high;
  for (int i = 0; i < lanes; ++i) {
    keep_low[i] = (i & step) == 0 ? i : i - step + lanes;
    keep_high[i] = (i & step) == 0 ? i + step : i + lanes;
  }
  for (int i = 0; i < lanes; ++i) {
    if ((i & step) != 0) continue;
    const Float upper = rows[i], lower = rows[i + step];
    rows[i] = __builtin_shuffle(upper, lower, keep_low);
    rows[i + step] = __builtin_shuffle(upper, lower, keep_high);
  }
}

/// rows[i][j] becomes rows[j][i].
KAGAMI_INLINE void transpose(Float* rows) {
  exchange<1>(rows);
  exchange<2>(rows);
  if constexpr (lanes > 4) exchange<4>(rows);
  if constexpr (lanes > 8) exchange<8>(rows);
}

}  // namespace kagami::cpu::KAGAMI_ISA
