#pragma once
// Types every kernel shares, on every back end and in every build.
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define KAGAMI_HD __host__ __device__
#else
#define KAGAMI_HD
#endif

namespace kagami {

/// What a kernel does with the memory it writes a gradient to: overwrite it, or add to what is there.
enum class Accumulate { no, yes };

/// A few values of one type: the partial derivatives of an elementwise op, one per input.
template <class T, int N>
struct Vec {
  T v[N];
  KAGAMI_HD T& operator[](int i) { return v[i]; }
  KAGAMI_HD const T& operator[](int i) const { return v[i]; }
};

/// bfloat16: the upper half of a float. Conversion from float rounds to nearest, ties to even; NaN stays NaN.
struct bf16 {
  std::uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float x) {
    std::uint32_t u;
    std::memcpy(&u, &x, sizeof u);
    const bool nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
  }
  explicit operator float() const {
    const std::uint32_t u = static_cast<std::uint32_t>(bits) << 16;
    float x;
    std::memcpy(&x, &u, sizeof x);
    return x;
  }
};

}  // namespace kagami
