#if KAGAMI_HAS_CUDA
#include "kernels/cuda/divisor.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace kagami {
namespace {

TEST(Divisor, DividesAsTheProcessorDoes) {
  constexpr int most = std::numeric_limits<int>::max();
  std::mt19937 random(1);
  for (int step = 0; step < 3000; ++step) {
    const int d = step < 1000 ? step + 1 : static_cast<int>(random() >> (1 + step % 31)) + (step % 31 == 0 ? 0 : 1);
    if (d <= 0) continue;
    const Divisor divisor(d);
    for (const int n :
         {0, 1, d - 1, d, most / d * d - 1, most / d * d, most - 1, most, static_cast<int>(random() >> 1)}) {
      if (n < 0) continue;
      int remainder = -1;
      EXPECT_EQ(divisor.divide(n, remainder), n / d) << n << " / " << d;
      EXPECT_EQ(remainder, n % d) << n << " % " << d;
    }
  }
}

}  // namespace
}  // namespace kagami
#endif
