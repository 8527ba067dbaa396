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

/// CUDA's small vectors, in every build: aligned, so that four floats travel as one access.
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  std::uint32_t x, y;
};
struct uint3 {
  std::uint32_t x, y, z;
};
struct alignas(16) uint4 {
  std::uint32_t x, y, z, w;
};
/// Extents of a grid or block.
struct dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
};

/// bfloat16: the upper half of a float. Conversion from float rounds to nearest, ties to even; NaN stays NaN.
struct bf16 {
  std::uint16_t bits = 0;
  bf16() = default;
  KAGAMI_HD explicit bf16(float x) {
    std::uint32_t u;
    std::memcpy(&u, &x, sizeof u);
    const bool nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
  }
  KAGAMI_HD explicit operator float() const {
    const std::uint32_t u = static_cast<std::uint32_t>(bits) << 16;
    float x;
    std::memcpy(&x, &u, sizeof x);
    return x;
  }
};

/// The type that statistics, sums and parameters beside values of type T are kept in: float for bf16, else T itself.
template <class T>
struct WideOf {
  using type = T;
};
template <>
struct WideOf<bf16> {
  using type = float;
};
template <class T>
using Wide = typename WideOf<T>::type;

}  // namespace kagami
