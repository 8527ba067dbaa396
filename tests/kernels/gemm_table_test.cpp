#if KAGAMI_HAS_CUDA
#include "kernels/cuda/gemm_table.h"

#include <gtest/gtest.h>

namespace kagami::gemm {
namespace {

Tile tile_of(const ProductSize& size) { return plan(Arithmetic::bf16, size).tile; }

TEST(GemmTable, PicksTheTileByShape) {
  EXPECT_EQ(tile_of({1024 * 16 * 16, 128, 1152, 1, true, false}), Tile::wide);   // a residual block's forward pass
  EXPECT_EQ(tile_of({1024 * 32 * 32, 64, 576, 1, true, false}), Tile::narrow);   // 64 channels
  EXPECT_EQ(tile_of({64, 576, 1024 * 32 * 32, 1, true, true}), Tile::flat);      // its weight gradient
  EXPECT_EQ(tile_of({1024 * 32 * 32, 64, 27, 1, false, false}), Tile::narrow);   // the stem: three channels
  EXPECT_EQ(tile_of({1024 * 32 * 32, 256, 30, 1, false, false}), Tile::narrow);  // wide copies whole vectors only
  EXPECT_EQ(tile_of({512, 512, 1024, 1, true, true}), Tile::wide);               // the parts of its sum fill a GPU
  EXPECT_EQ(tile_of({128, 128, 64, 1, true, false}), Tile::small);
}

/// Parts of a sum are whole tiles, none is empty, and together they are all of it.
TEST(GemmTable, PartsCoverTheSum) {
  for (const int k : {1, 63, 64, 65, 1000, 50000, 1 << 20})
    for (const int columns : {16, 64, 576, 4608})
      for (const Arithmetic arithmetic : {Arithmetic::fp32, Arithmetic::tf32, Arithmetic::bf16}) {
        const Plan p = plan(arithmetic, {64, columns, k, 1, true, true});
        const int depth = size_of(arithmetic, p.tile).depth, tiles = (k + depth - 1) / depth;
        EXPECT_GE(p.splits, 1);
        EXPECT_GE(p.splits * p.tiles_per_split, tiles) << k << ", " << columns;
        EXPECT_LT((p.splits - 1) * p.tiles_per_split, tiles) << k << ", " << columns;
      }
  EXPECT_EQ(plan(Arithmetic::fp32, {64, 64, 0, 1, true, true}).splits, 1);
  EXPECT_EQ(plan(Arithmetic::fp32, {64, 64, 1 << 20, 1, true, false}).splits, 1);
}

}  // namespace
}  // namespace kagami::gemm
#endif
