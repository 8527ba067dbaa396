#pragma once
// From the table's words to the kernels: the core of each arithmetic and tile.
#include "kernels/cuda/gemm_simt.cuh"

namespace kagami::gemm {

template <Arithmetic, Tile>
struct CoreOf;
template <>
struct CoreOf<Arithmetic::fp32, Tile::small> {
  using type = Simt<1, 2, 1, 2, 3>;
};
template <>
struct CoreOf<Arithmetic::fp32, Tile::narrow> {
  using type = Simt<2, 2, 2, 2, 3>;
};
template <>
struct CoreOf<Arithmetic::fp32, Tile::wide> {
  using type = Simt<2, 4, 2, 2, 3>;
};

template <Arithmetic arithmetic, Tile tile>
using Core = typename CoreOf<arithmetic, tile>::type;

/// Calls f.template operator()<Core, Vector>() with the core of the plan's tile; Vector is the elements of a copy.
template <Arithmetic arithmetic, int AlignedVector, class F>
void with_core(Tile tile, bool aligned, F f) {
  if (aligned && tile == Tile::wide)
    f.template operator()<Core<arithmetic, Tile::wide>, AlignedVector>();
  else if (aligned && tile == Tile::narrow)
    f.template operator()<Core<arithmetic, Tile::narrow>, AlignedVector>();
  else if (aligned)
    f.template operator()<Core<arithmetic, Tile::small>, AlignedVector>();
  else if (tile == Tile::narrow)
    f.template operator()<Core<arithmetic, Tile::narrow>, 1>();
  else
    f.template operator()<Core<arithmetic, Tile::small>, 1>();
}

}  // namespace kagami::gemm
