// The gradient of the weights on bands. Each item sums, for a block of k, over a share of the images; the number of
// shares follows from the shape alone. Lanes run along k where it fills them, or along the values that a row of taps
// reads.
#include "kernels/cpu/isa/conv_band.h"
#include "kernels/cpu/isa/conv_color.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

constexpr std::ptrdiff_t sum_bytes = 512 << 10;
constexpr std::ptrdiff_t near_band_bytes = 20 << 10;  // of what is read again: dy by every tile of a band, else x

class BandWeightGradient {
 public:
  BandWeightGradient(const DirectShape& shape, const float* x, const float* dy);
  std::size_t scratch(int workers) const { return shares * sum_floats() + workers * own(); }
  void run(float* dw, bool add, float* scratch) const;

 private:
  std::size_t sum_floats() const { return static_cast<std::size_t>(sum_rows) * sum_row; }
  std::size_t own() const {
    return source.in_place ? 0 : static_cast<std::size_t>(band_rows) * source.row_floats() + slack;
  }
  PixelSteps dy_steps() const { return {std::ptrdiff_t{shape.out_w} * shape.k, shape.k}; }
  PixelSteps x_steps() const { return {shape.stride * source.row_floats(), std::ptrdiff_t{shape.stride} * shape.c}; }
  void run_item(int share, int block, float* sum, float* own) const;
  void add_band(int pixel, int rows, int block, float* sum, const float* x, bool add) const;
  void add_band_by_k(int pixel, int rows, float* sum, const float* x, bool add) const;
  void finish(int k, const float* sum, float* dw, bool add) const;

  const DirectShape& shape;
  BandSource source;
  const float* dy;
  int tap_row;              // values that a row of taps reads side by side
  bool by_k;                // the sum is [r][tap_row][k] instead of [k][r][tap_row]
  int sum_rows, sum_row;    // of a sum; its rows are made of whole vectors
  int per_band, band_rows;  // rows of y, of x
  Pieces blocks;            // of k
  int shares;
};

BandWeightGradient::BandWeightGradient(const DirectShape& z, const float* x, const float* dy)
    : shape(z),
      source{x, z.h, z.w, z.c, z.pad, (z.out_w - 1) * z.stride + z.s, z.pad == 0 && z.c % lanes == 0},
      dy(dy),
      tap_row(z.s * z.c),
      by_k(z.k % panel_width == 0 || ((tap_row % lanes != 0 || z.r * z.s == 1) && z.k % lanes == 0)),
      sum_rows(by_k ? z.r * tap_row : z.k),
      sum_row(by_k ? z.k : z.r * round_up(tap_row, lanes)) {
  const bool one_tile = ColorPatch::fits(z) && ColorPatch::tiles(1) == 1 && z.k == lanes;  // reads dy only once
  const std::ptrdiff_t fitting = one_tile ? near_band_bytes / (source.row_floats() * z.stride * 4)
                                 : by_k   ? larger<std::ptrdiff_t>(near_band_bytes / (4 * z.k), 256) / z.out_w
                                          : band_bytes / (source.row_floats() * z.stride * 4);
  per_band = divide_up(z.out_h, divide_up(z.out_h, larger<std::ptrdiff_t>(1, fitting)));
  band_rows = (per_band - 1) * z.stride + z.r;
  const int block = static_cast<int>(sum_bytes / (sum_row * 4)) / tile_rows * tile_rows;
  blocks = by_k ? Pieces{z.k, z.k} : even_pieces(z.k, larger(tile_rows, block), 1);
  shares = smaller(z.n, divide_up(enough_items, blocks.count()));
}

/// sum [k][r][tap_row] += dy^T x over the pixels of a band, for a block of k.
void BandWeightGradient::add_band(int pixel, int rows, int block, float* sum, const float* x, bool add) const {
  const Groups groups(blocks.length(block), tile_rows);
  for (int g = 0; g < groups.count; ++g) {
    const int k = blocks.begin(block) + groups.begin(g);
    const float* first = dy + static_cast<std::ptrdiff_t>(pixel) * shape.k + k;
    for (int i = 0; i < shape.r; ++i)
      for (int j = 0; j < tap_row; j += panel_width) {
        float* to = sum + static_cast<std::ptrdiff_t>(k) * sum_row + i * round_up(tap_row, lanes) + j;
        pixel_tile_of(groups.size(g), packed_width(tap_row, j))(first, dy_steps(), x + i * source.row_floats() + j,
                                                                x_steps(), rows, shape.out_w, to, sum_row, add);
      }
  }
}

/// sum [r][tap_row][k] += x^T dy over the pixels of a band.
void BandWeightGradient::add_band_by_k(int pixel, int rows, float* sum, const float* x, bool add) const {
  const float* first = dy + static_cast<std::ptrdiff_t>(pixel) * shape.k;
  const Groups groups(tap_row, tile_rows);
  for (int k = 0; k < shape.k; k += panel_width) {
    const int width = packed_width(shape.k, k);
    if (ColorPatch::fits(shape)) {
      color_tiles_of(width)(x, x_steps(), source.row_floats(), first + k, dy_steps(), rows, shape.out_w, sum + k,
                            sum_row, add);
      continue;
    }
    for (int i = 0; i < shape.r; ++i)
      for (int g = 0; g < groups.count; ++g) {
        float* to = sum + static_cast<std::ptrdiff_t>(i * tap_row + groups.begin(g)) * sum_row + k;
        pixel_tile_of(groups.size(g), width)(x + i * source.row_floats() + groups.begin(g), x_steps(), first + k,
                                             dy_steps(), rows, shape.out_w, to, sum_row, add);
      }
  }
}

void BandWeightGradient::run_item(int share, int block, float* sum, float* own) const {
  const int first = static_cast<int>(std::int64_t{shape.n} * share / shares);
  const int last = static_cast<int>(std::int64_t{shape.n} * (share + 1) / shares);
  for (int image = first; image < last; ++image)
    for (int begin = 0; begin < shape.out_h; begin += per_band) {
      const bool add = image > first || begin > 0;
      const int rows = smaller(per_band, shape.out_h - begin), pixel = (image * shape.out_h + begin) * shape.out_w;
      const float* x = source.band(image, begin * shape.stride - shape.pad, band_rows, own);
      if (by_k)
        add_band_by_k(pixel, rows, sum, x, add);
      else
        add_band(pixel, rows, block, sum, x, add);
    }
}

void BandWeightGradient::finish(int k, const float* sum, float* dw, bool add) const {
  float* to = dw + static_cast<std::ptrdiff_t>(k) * shape.r * tap_row;
  if (by_k) {
    for (int i = 0; i < sum_rows; ++i) to[i] = (add ? to[i] : 0.0f) + sum[static_cast<std::ptrdiff_t>(i) * sum_row + k];
  } else {
    for (int i = 0; i < shape.r; ++i)
      write_row(to + i * tap_row, sum + static_cast<std::ptrdiff_t>(k) * sum_row + i * round_up(tap_row, lanes),
                tap_row, add);
  }
}

void BandWeightGradient::run(float* dw, bool add, float* scratch) const {
  parallel_items(std::int64_t{shares} * blocks.count(), [&](std::int64_t item, int worker) {
    const int share = static_cast<int>(item / blocks.count());
    run_item(share, static_cast<int>(item % blocks.count()), scratch + share * sum_floats(),
             scratch + shares * sum_floats() + worker * own());
  });
  parallel_for(static_cast<std::int64_t>(sum_floats() / lanes), 1024, [&](std::int64_t first, std::int64_t last) {
    for (int share = 1; share < shares; ++share)
      for (std::int64_t i = first * lanes; i < last * lanes; i += lanes)
        store(scratch + i, load(scratch + i) + load(scratch + share * sum_floats() + i));
  });
  parallel_for(shape.k, 16, [&](std::int64_t first, std::int64_t last) {
    for (int k = static_cast<int>(first); k < last; ++k) finish(k, scratch, dw, add);
  });
}

}  // namespace

std::size_t band_wgrad_scratch(const DirectShape& shape, int workers) {
  return BandWeightGradient(shape, nullptr, nullptr).scratch(workers);
}

void run_band_wgrad(const DirectShape& shape, const float* x, const float* dy, float* dw, bool add, float* scratch) {
  BandWeightGradient(shape, x, dy).run(dw, add, scratch);
}

}  // namespace kagami::cpu::KAGAMI_ISA
