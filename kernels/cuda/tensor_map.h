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

/// Drivers up to CUDA 13.1 (`driver`: 13010) set bit 85 of every map, as only tensors of 128 KiB and more may have it:
/// TMA then errs about what lies outside of a smaller one. Clears it there, as CUTLASS does.
inline void repair_map_of_small_tensor(TensorMap& map, const TensorMapSpec& spec, int driver) {
  std::uint64_t bytes = 2 * spec.dims[0];  // from the first element to the end of the last
  for (std::size_t d = 1; d < spec.dims.size(); ++d) bytes += (spec.dims[d] - 1) * spec.strides[d - 1];
  if (driver <= 13010 && bytes < 128 << 10) map.opaque[1] &= ~(std::uint64_t{1} << 21);
}

}  // namespace kagami
