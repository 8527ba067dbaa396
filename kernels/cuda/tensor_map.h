// TMA tensor maps. TensorMap (cuda.h, host-clean) is opaque on the GPU side; the CPU runtime
// stores its own fields in the same 128 bytes, so kernels take the same type on both sides.
#pragma once
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

/// bf16 tiled tensor map. CPU: checks the driver's rules itself. GPU: cuTensorMapEncodeTiled.
TensorMap make_tensor_map_bf16(const TensorMapSpec&);
}  // namespace kagami
