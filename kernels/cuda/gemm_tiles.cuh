#pragma once
// From the table's words to the kernels: the core of each arithmetic and tile.
#include "kernels/cuda/gemm_mma.cuh"
#include "kernels/cuda/gemm_simt.cuh"

namespace kagami::gemm {

template <Arithmetic, Tile>
struct CoreOf;
template <>
struct CoreOf<Arithmetic::fp32, Tile::small> : std::type_identity<Simt<1, 2, 1, 2, 3>> {};
template <>
struct CoreOf<Arithmetic::fp32, Tile::narrow> : std::type_identity<Simt<2, 2, 2, 2, 3>> {};
template <>
struct CoreOf<Arithmetic::fp32, Tile::flat> : std::type_identity<Simt<1, 4, 2, 2, 3>> {};
template <>
struct CoreOf<Arithmetic::fp32, Tile::wide> : std::type_identity<Simt<2, 4, 2, 2, 3>> {};
template <>
struct CoreOf<Arithmetic::tf32, Tile::small> : std::type_identity<Mma<float, 1, 2, 2, 4, 16, 3>> {};
template <>
struct CoreOf<Arithmetic::tf32, Tile::narrow> : std::type_identity<Mma<float, 2, 2, 4, 4, 32, 3>> {};
template <>
struct CoreOf<Arithmetic::tf32, Tile::flat> : std::type_identity<Mma<float, 1, 4, 4, 4, 32, 3>> {};
template <>
struct CoreOf<Arithmetic::tf32, Tile::wide> : std::type_identity<Mma<float, 2, 4, 4, 4, 32, 3>> {};
template <>
struct CoreOf<Arithmetic::bf16, Tile::small> : std::type_identity<Mma<bf16, 1, 2, 2, 4, 32, 3>> {};
template <>
struct CoreOf<Arithmetic::bf16, Tile::narrow> : std::type_identity<Mma<bf16, 2, 2, 4, 4, 64, 3>> {};
template <>
struct CoreOf<Arithmetic::bf16, Tile::flat> : std::type_identity<Mma<bf16, 1, 4, 4, 4, 64, 3>> {};
template <>
struct CoreOf<Arithmetic::bf16, Tile::wide> : std::type_identity<Mma<bf16, 2, 4, 4, 4, 64, 3>> {};

template <Arithmetic arithmetic, Tile tile>
using Core = typename CoreOf<arithmetic, tile>::type;

template <Arithmetic arithmetic, Tile tile>
constexpr bool agrees_with_table() {
  using Core = gemm::Core<arithmetic, tile>;
  constexpr TileSize size = size_of(arithmetic, tile);
  return Core::rows == size.rows && Core::columns == size.columns && Core::depth == size.depth;
}

/// Calls f.template operator()<arithmetic>() with the arithmetic of products of T on the device.
template <class T, class F>
void with_arithmetic(const Cuda& device, F f) {
  if constexpr (std::is_same_v<T, bf16>)
    f.template operator()<Arithmetic::bf16>();
  else if (device.tf32)
    f.template operator()<Arithmetic::tf32>();
  else
    f.template operator()<Arithmetic::fp32>();
}

/// Calls f.template operator()<Core, Vector>() with the core of the plan's tile; Vector is the elements of a copy:
/// those of 16 bytes where the operands are aligned for it, else `OtherVector`.
template <Arithmetic arithmetic, int AlignedVector, int OtherVector = 1, class F>
void with_core(Tile tile, bool aligned, F f) {
  static_assert(agrees_with_table<arithmetic, Tile::small>() && agrees_with_table<arithmetic, Tile::narrow>() &&
                agrees_with_table<arithmetic, Tile::flat>() && agrees_with_table<arithmetic, Tile::wide>());
  if (aligned && tile == Tile::wide)
    f.template operator()<Core<arithmetic, Tile::wide>, AlignedVector>();
  else if (aligned && tile == Tile::flat)
    f.template operator()<Core<arithmetic, Tile::flat>, AlignedVector>();
  else if (aligned && tile == Tile::narrow)
    f.template operator()<Core<arithmetic, Tile::narrow>, AlignedVector>();
  else if (aligned)
    f.template operator()<Core<arithmetic, Tile::small>, AlignedVector>();
  else if (tile == Tile::narrow)
    f.template operator()<Core<arithmetic, Tile::narrow>, OtherVector>();
  else
    f.template operator()<Core<arithmetic, Tile::small>, OtherVector>();
}

}  // namespace kagami::gemm
