#include "kernels/dropout.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"

namespace kagami {

template <class T>
void dropout(Cpu, const Philox& stream, double probability, std::int64_t count, const T* from, T* to,
             Accumulate accumulate, const StepScalars* step) {
  constexpr std::int64_t grain = 1 << 14;
  static_assert(grain % 4 == 0, "a piece begins with a block");
  const Philox random = of_step(stream, step);
  const std::uint32_t threshold = dropout_threshold(probability);
  const T factor = static_cast<T>(1 / (1 - probability));
  cpu::parallel_for(count, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; i += 4) {
      const PhiloxWords words = random.block(static_cast<std::uint32_t>(i / 4));
      for (std::int64_t k = i; k < std::min(i + 4, last); ++k) {
        const bool kept = dropout_keeps(words[static_cast<int>(k - i)], threshold);
        const T value = kept ? from[k] * factor : T(0);
        to[k] = accumulate == Accumulate::yes ? to[k] + value : value;
      }
    }
  });
}

template void dropout(Cpu, const Philox&, double, std::int64_t, const float*, float*, Accumulate, const StepScalars*);
template void dropout(Cpu, const Philox&, double, std::int64_t, const double*, double*, Accumulate, const StepScalars*);

}  // namespace kagami
