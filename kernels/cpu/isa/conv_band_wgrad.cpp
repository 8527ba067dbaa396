// The gradient of the weights on bands. Each item sums, for a block of k, over a share of the images; the number of
// shares follows from the shape alone.
#include "kernels/cpu/isa/conv_band.h"
#include "kernels/cpu/isa/matmul_pack.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

constexpr std::ptrdiff_t sum_bytes = 512 << 10;

class BandWeightGradient {
 public:
  BandWeightGradient(const DirectShape& shape, const float* x, const float* dy);
  std::size_t scratch(int workers) const { return shares * sum_floats() + workers * own(); }
  void run(float* dw, bool add, float* scratch) const;

 private:
  std::size_t sum_floats() const { return static_cast<std::size_t>(shape.k) * row_floats; }
  std::size_t band_floats() const { return static_cast<std::size_t>(band_rows) * source.row_floats() + slack; }
  std::size_t own() const {
    return band_floats() + static_cast<std::size_t>(per_band) * shape.out_w * tile_rows + slack;
  }
  void run_item(int share, int block, float* sum, float* own) const;
  void run_band(int image, int begin, int rows, int block, float* sum, const float* x, float* packed, bool add) const;
  void finish(int k, float* parts, float* dw, bool add) const;

  const DirectShape& shape;
  BandSource source;
  ColumnsOfMatrix dy;
  int tap_row, padded_row, row_floats;  // values a row of taps reads side by side; padded to whole vectors; of all rows
  int per_band, band_rows;              // rows of y, of x
  Pieces blocks;                        // of k
  int shares;
};

BandWeightGradient::BandWeightGradient(const DirectShape& z, const float* x, const float* dy)
    : shape(z),
      source{x, z.h, z.w, z.c, z.pad, (z.out_w - 1) * z.stride + z.s},
      dy{dy, z.k, static_cast<std::ptrdiff_t>(z.n) * z.out_h * z.out_w * z.k},
      tap_row(z.s * z.c),
      padded_row(round_up(tap_row, lanes)),
      row_floats(z.r * padded_row) {
  const int fitting = static_cast<int>(band_bytes / (source.row_floats() * z.stride * 4));
  per_band = divide_up(z.out_h, divide_up(z.out_h, larger(1, fitting)));
  band_rows = (per_band - 1) * z.stride + z.r;
  const int block = static_cast<int>(sum_bytes / (row_floats * 4)) / tile_rows * tile_rows;
  blocks = even_pieces(z.k, larger(tile_rows, block), 1);
  shares = smaller(z.n, divide_up(enough_items, blocks.count()));
}

void BandWeightGradient::run_band(int image, int begin, int rows, int block, float* sum, const float* x, float* packed,
                                  bool add) const {
  const Groups groups(blocks.length(block), tile_rows);
  const std::ptrdiff_t b_step = shape.stride * shape.c, b_row_step = shape.stride * source.row_floats();
  for (int g = 0; g < groups.count; ++g) {
    const int k = blocks.begin(block) + groups.begin(g), count = groups.size(g);
    dy.pack(k, count, (image * shape.out_h + begin) * shape.out_w, rows * shape.out_w, packed);
    for (int i = 0; i < shape.r; ++i)
      for (int j = 0; j < tap_row; j += panel_width)
        pixel_tile_of(count, packed_width(tap_row, j))(
            packed, x + i * source.row_floats() + j, rows, shape.out_w, b_row_step, b_step,
            sum + static_cast<std::ptrdiff_t>(k) * row_floats + i * padded_row + j, row_floats, add);
  }
}

void BandWeightGradient::run_item(int share, int block, float* sum, float* own) const {
  const int first = static_cast<int>(std::int64_t{shape.n} * share / shares);
  const int last = static_cast<int>(std::int64_t{shape.n} * (share + 1) / shares);
  for (int image = first; image < last; ++image)
    for (int begin = 0; begin < shape.out_h; begin += per_band) {
      source.copy(image, begin * shape.stride - shape.pad, band_rows, own);
      run_band(image, begin, smaller(per_band, shape.out_h - begin), block, sum, own, own + band_floats(),
               image > first || begin > 0);
    }
}

void BandWeightGradient::finish(int k, float* parts, float* dw, bool add) const {
  float* sum = parts + static_cast<std::ptrdiff_t>(k) * row_floats;
  for (int share = 1; share < shares; ++share)
    for (int j = 0; j < row_floats; j += lanes) store(sum + j, load(sum + j) + load(sum + share * sum_floats() + j));
  for (int i = 0; i < shape.r; ++i)
    write_row(dw + (static_cast<std::ptrdiff_t>(k) * shape.r + i) * tap_row, sum + i * padded_row, tap_row, add);
}

void BandWeightGradient::run(float* dw, bool add, float* scratch) const {
  parallel_items(std::int64_t{shares} * blocks.count(), [&](std::int64_t item, int worker) {
    const int share = static_cast<int>(item / blocks.count());
    run_item(share, static_cast<int>(item % blocks.count()), scratch + share * sum_floats(),
             scratch + shares * sum_floats() + worker * own());
  });
  parallel_for(shape.k, 8, [&](std::int64_t first, std::int64_t last) {
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
