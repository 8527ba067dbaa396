#pragma once
// A few neighbouring values that travel as one access of up to 16 bytes.
#include <cstdint>

#include "kernels/cuda/cuda.h"

namespace kagami::cuda {

/// How many values of type T fill the widest access.
template <class T>
constexpr int widest_pack = 16 / static_cast<int>(sizeof(T));

/// Neighbours as they lie in memory.
template <class T, int N>
struct alignas(N * sizeof(T)) Pack {
  T v[N];
  __device__ T& operator[](int i) { return v[i]; }
  __device__ const T& operator[](int i) const { return v[i]; }
};
template <int N, class T>
__device__ __forceinline__ Pack<T, N>& pack_at(T* p) {
  return *reinterpret_cast<Pack<T, N>*>(p);
}
template <int N, class T>
__device__ __forceinline__ const Pack<T, N>& pack_at(const T* p) {
  return *reinterpret_cast<const Pack<T, N>*>(p);
}

/// Neighbours as one computes with them.
template <class T, int N>
struct WidePack {
  Wide<T> v[N];

  __device__ __forceinline__ static WidePack load(const T* p) {
    const Pack<T, N> raw = pack_at<N>(p);
    WidePack pack;
#pragma unroll
    for (int i = 0; i < N; ++i) pack.v[i] = static_cast<Wide<T>>(raw[i]);
    return pack;
  }
  __device__ __forceinline__ void store(T* p) const {
    Pack<T, N> raw;
#pragma unroll
    for (int i = 0; i < N; ++i) raw[i] = T(v[i]);
    pack_at<N>(p) = raw;
  }
};

/// Whether packs of `count` values (a power of two) may be read and written from p on. True of null.
template <class T>
bool on_boundary(const T* p, int count) {
  return reinterpret_cast<std::uintptr_t>(p) % (static_cast<std::size_t>(count) * sizeof(T)) == 0;
}

/// Whether the widest packs tile row-major arrays: rows hold whole packs and every array (null: none) begins with one.
template <class T, class... Pointers>
bool holds_packs(std::int64_t columns, const Pointers*... arrays) {
  const bool aligned = ((reinterpret_cast<std::uintptr_t>(arrays) % 16 == 0) && ...);
  return aligned && columns % widest_pack<T> == 0;
}

}  // namespace kagami::cuda
