#pragma once
// Tensor maps: what a TMA copy knows of the tensor it copies a tile of.
#include <cstdint>
#include <span>

namespace kagami {

/// Opaque: what the driver calls CUtensorMap. The emulator keeps its own fields in the same bytes.
struct alignas(64) TensorMap {
  std::uint64_t opaque[16];
};

struct TensorMapSpec {
  void* base = nullptr;
  std::span<const uint64_t> dims;     // in elements, innermost first
  std::span<const uint64_t> strides;  // in bytes, of dims 1..rank-1
  std::span<const uint32_t> box;      // in elements
  int swizzle_bytes = 128;            // 0 or 128
};

/// A tiled map of bf16 values. Throws when a rule of the hardware is broken (alignment of base and strides, box sizes).
TensorMap make_tensor_map_bf16(const TensorMapSpec&);
}  // namespace kagami
