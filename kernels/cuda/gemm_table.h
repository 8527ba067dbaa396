#pragma once
// Which tile computes a product, and into how many parts its sum over k is cut: by arithmetic and shape alone, never by
// the device, so that results are the same bits on every GPU.
#include <algorithm>
#include <cstdint>
#include <optional>

namespace kagami::gemm {

enum class Arithmetic { fp32, tf32, bf16 };
enum class Tile { small, narrow, flat, wide };

struct TileSize {
  int rows, columns, depth;
};
/// narrow is for results of at most 64 columns, flat for those of at most 64 rows, small for those that would not fill
/// a GPU with larger tiles.
constexpr TileSize tile_sizes[3][4] = {
    {{32, 64, 16}, {128, 64, 16}, {64, 128, 16}, {128, 128, 16}},  // fp32
    {{32, 64, 16}, {128, 64, 32}, {64, 128, 32}, {128, 128, 32}},  // tf32
    {{32, 64, 32}, {128, 64, 64}, {64, 128, 64}, {128, 128, 64}},  // bf16
};
constexpr TileSize size_of(Arithmetic arithmetic, Tile tile) {
  return tile_sizes[static_cast<int>(arithmetic)][static_cast<int>(tile)];
}

/// A smaller tile is taken when a larger one gives fewer blocks than this; sums are cut until there are `many_blocks`.
constexpr int few_blocks = 64, many_blocks = 264;
/// The fewest steps through k (of one tile's depth) that are worth a part of their own.
constexpr int min_tiles_per_split = 4;

struct Plan {
  Tile tile = Tile::small;
  int splits = 1, tiles_per_split = 0;
};

/// For tests and measurements: the tile every later product takes where it can; nullopt chooses by shape.
inline std::optional<Tile> forced_tile;

/// A product [rows,k] x [k,columns], `parts` of them in one launch.
struct ProductSize {
  int rows, columns, k, parts;
  bool aligned;    ///< false: copied element by element, which flat and wide do not do
  bool may_split;  ///< its sum over k may be cut
};

inline Plan plan(Arithmetic arithmetic, const ProductSize& product) {
  const auto up = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const auto blocks = [&](Tile tile) {
    const TileSize size = size_of(arithmetic, tile);
    return up(product.rows, size.rows) * up(product.columns, size.columns) * product.parts;
  };
  const auto most_splits = [&](Tile tile) -> std::int64_t {
    const int depth = size_of(arithmetic, tile).depth;
    return product.may_split ? std::max<std::int64_t>(1, up(product.k, depth) / min_tiles_per_split) : 1;
  };
  const auto fits = [&](Tile tile) { return product.aligned || tile == Tile::small || tile == Tile::narrow; };
  const auto fills = [&](Tile tile) { return fits(tile) && blocks(tile) * most_splits(tile) >= few_blocks; };
  const Tile wanted_tile = product.columns <= 64 || !product.aligned ? Tile::narrow
                           : product.rows <= 64                      ? Tile::flat
                                                                     : Tile::wide;
  Plan plan;
  if (forced_tile && fits(*forced_tile))
    plan.tile = *forced_tile;
  else if (fills(wanted_tile))
    plan.tile = wanted_tile;
  else if (fills(Tile::narrow))
    plan.tile = Tile::narrow;
  const std::int64_t tiles = up(product.k, size_of(arithmetic, plan.tile).depth);
  const std::int64_t wanted =
      std::min(most_splits(plan.tile), up(many_blocks, std::max<std::int64_t>(1, blocks(plan.tile))));
  plan.tiles_per_split = static_cast<int>(up(tiles, wanted));
  plan.splits = plan.tiles_per_split > 0 ? static_cast<int>(up(tiles, plan.tiles_per_split)) : 1;
  return plan;
}

}  // namespace kagami::gemm
