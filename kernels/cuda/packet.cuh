#pragma once
// A few neighbouring values that travel as one access of up to 16 bytes.
#include "kernels/cuda/cuda.h"

namespace kagami::cuda {

/// How many values of type T fill 16 bytes.
template <class T>
constexpr int packet_values = 16 / static_cast<int>(sizeof(T));

/// N values as Wide<T>: one, or packet_values<T> of them from an address that is a multiple of 16.
template <class T, int N>
struct Packet {
  static_assert(N == 1 || N == packet_values<T>);
  Wide<T> v[N];

  __device__ __forceinline__ static Packet load(const T* p) {
    Packet packet;
    if constexpr (N == 1) {
      packet.v[0] = static_cast<Wide<T>>(*p);
    } else if constexpr (sizeof(T) == 2) {
      const uint4 raw = *reinterpret_cast<const uint4*>(p);
      const std::uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        packet.v[2 * i] = __int_as_float(static_cast<int>(words[i] << 16));
        packet.v[2 * i + 1] = __int_as_float(static_cast<int>(words[i] & 0xffff0000U));
      }
    } else {
      const float4 raw = *reinterpret_cast<const float4*>(p);
      packet.v[0] = raw.x, packet.v[1] = raw.y, packet.v[2] = raw.z, packet.v[3] = raw.w;
    }
    return packet;
  }

  __device__ __forceinline__ void store(T* p) const {
    if constexpr (N == 1) {
      *p = T(v[0]);
    } else if constexpr (sizeof(T) == 2) {
      std::uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) words[i] = T(v[2 * i]).bits | static_cast<std::uint32_t>(T(v[2 * i + 1]).bits) << 16;
      *reinterpret_cast<uint4*>(p) = {words[0], words[1], words[2], words[3]};
    } else {
      *reinterpret_cast<float4*>(p) = {v[0], v[1], v[2], v[3]};
    }
  }
};

/// Whether packets of a row-major array can be used: its rows hold whole packets and every array (null: none) begins
/// with one.
template <class T, class... Pointers>
bool holds_packets(std::int64_t columns, const Pointers*... arrays) {
  const bool aligned = ((reinterpret_cast<std::uintptr_t>(arrays) % 16 == 0) && ...);
  return aligned && columns % packet_values<T> == 0;
}

}  // namespace kagami::cuda
