#pragma once
// Division of sizes by a fixed divisor as one multiplication: exact for 0 <= n < 2^31.
#include <cstdint>

#include "kernels/types.h"

namespace kagami {

/// Granlund and Montgomery, "Division by invariant integers using multiplication" (1994), figure 4.1.
class Divisor {
 public:
  Divisor() = default;
  KAGAMI_HD explicit Divisor(int divisor) : value_(divisor) {
    const std::uint32_t d = static_cast<std::uint32_t>(divisor);
    while ((std::uint64_t{1} << shift_) < d) ++shift_;
    multiplier_ = static_cast<std::uint32_t>((((std::uint64_t{1} << shift_) - d) << 32) / d + 1);
  }
  /// Sets `remainder` and returns the quotient.
  KAGAMI_HD int divide(int n, int& remainder) const {
    const std::uint32_t high =
        static_cast<std::uint32_t>(std::uint64_t{static_cast<std::uint32_t>(n)} * multiplier_ >> 32);
    const int quotient = static_cast<int>((high + static_cast<std::uint32_t>(n)) >> shift_);
    remainder = n - quotient * value_;
    return quotient;
  }

 private:
  int value_ = 1;
  std::uint32_t multiplier_ = 1, shift_ = 0;
};

}  // namespace kagami
