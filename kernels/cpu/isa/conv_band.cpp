#include "kernels/cpu/isa/conv_band.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

constexpr std::ptrdiff_t near_weights_bytes = 20 << 10;
constexpr int rows_ahead = 2;  // how far rows of a band read in place are fetched

class Bands {
 public:
  explicit Bands(const BandConvolution& conv);
  std::size_t scratch(int workers) const { return packed_weights() + workers * own(); }
  void run(PackWeights pack, const void* weights, float* scratch) const;

 private:
  std::size_t packed_weights() const { return static_cast<std::size_t>(depth) * round_up(conv.k, lanes); }
  std::size_t band_floats() const {
    if (source.in_place) return 0;
    return static_cast<std::size_t>(band_rows) * source.row_floats() + slack;
  }
  std::size_t own() const {
    return band_floats() + static_cast<std::size_t>(per_band) * columns * round_up(conv.k, lanes);
  }
  /// Whether tiles write to y themselves.
  bool in_place() const { return conv.k % lanes == 0 && !conv.bias; }
  bool all_inside() const;
  template <class F>
  void each_chunk(const BandPart& part, F f) const;
  void pack_panel(PackWeights pack, const void* weights, int column, float* to) const;
  void run_item(int image, int band, const float* weights, float* own) const;
  void run_part(const BandPart& part, int image, int begin, int end, const float* x, const float* weights,
                float* result) const;
  void clear_part(const BandPart& part, int image, int begin, int end) const;
  void store_part(const BandPart& part, int image, int begin, int end, const float* result) const;

  const BandConvolution& conv;
  BandSource source{};
  int top = 0, bottom = 0;          // rows of x a band reaches above i stride, and below with the row itself
  int rows = 0, columns = 0;        // most of a part
  int depth = 0;                    // rows of weights, all parts together
  int per_band = 0, band_rows = 0;  // rows of y, of x
};

Bands::Bands(const BandConvolution& conv) : conv(conv) {
  int left = conv.parts[0].left, right = 0;
  top = conv.parts[0].top;
  for (int i = 0; i < conv.part_count; ++i) {
    const BandPart& part = conv.parts[i];
    left = larger(left, part.left);
    right = larger(right, (part.columns - 1) * conv.stride + part.taps_w - part.left);
    top = larger(top, part.top);
    bottom = larger(bottom, part.taps_h - part.top);
    rows = larger(rows, part.rows);
    columns = larger(columns, part.columns);
    depth += part.taps_h * part.taps_w * conv.c;
  }
  source = {conv.x, conv.h, conv.w, conv.c, left, left + right, all_inside()};
  std::ptrdiff_t row_floats = source.row_floats() * conv.stride;  // of x and y, for a row of every part
  for (int i = 0; i < conv.part_count; ++i) row_floats += std::ptrdiff_t{conv.parts[i].columns} * conv.k;
  const int fitting = static_cast<int>(band_bytes / (row_floats * 4));
  per_band = divide_up(rows, divide_up(rows, larger(1, fitting)));
  band_rows = (per_band - 1) * conv.stride + top + bottom;
}

bool Bands::all_inside() const {
  for (int i = 0; i < conv.part_count; ++i) {
    const BandPart& part = conv.parts[i];
    if (part.taps_h * part.taps_w == 0) continue;
    if (part.top > 0 || (part.rows - 1) * conv.stride - part.top + part.taps_h > conv.h || part.left > 0 ||
        (part.columns - 1) * conv.stride - part.left + part.taps_w > conv.w)
      return false;
  }
  return true;
}

/// Calls f(first row of taps, rows of taps, first value of a run, values) for pieces of a part's sum.
template <class F>
void Bands::each_chunk(const BandPart& part, F f) const {
  const int run = part.taps_w * conv.c;
  const Pieces across = even_pieces(run, k_most, 16);
  if (run == 0) return;
  const Pieces down{part.taps_h, across.count() > 1 ? 1 : larger(1, k_most / run)};
  for (int i = 0; i < down.count(); ++i)
    for (int j = 0; j < across.count(); ++j) f(down.begin(i), down.length(i), across.begin(j), across.length(j));
}

void Bands::pack_panel(PackWeights pack, const void* weights, int column, float* to) const {
  const int width = round_up(conv.k, lanes);
  for (int i = 0; i < conv.part_count; ++i) {
    const BandPart& part = conv.parts[i];
    const int run = part.taps_w * conv.c;
    each_chunk(part, [&](int tap, int taps, int value, int values) {
      const int k0 = tap * run + value, ks = taps * values;
      pack(weights, i, k0, ks, column, smaller(panel_width, conv.k - column),
           to + static_cast<std::ptrdiff_t>(k0) * width + static_cast<std::ptrdiff_t>(column) * ks);
    });
    to += static_cast<std::ptrdiff_t>(part.taps_h) * run * width;
  }
}

/// Pixels with gaps between them, which the processor does not foresee.
KAGAMI_INLINE void fetch_pixels(const float* x, std::ptrdiff_t step, int pixels, int values) {
  for (int i = 0; i < pixels; ++i)
    for (int j = 0; j < values; j += 16) __builtin_prefetch(x + i * step + j);
}

void Bands::run_part(const BandPart& part, int image, int begin, int end, const float* x, const float* weights,
                     float* result) const {
  const int run = part.taps_w * conv.c, width = round_up(conv.k, lanes);
  const Groups groups(part.columns, tile_rows);
  const std::ptrdiff_t x_row = conv.stride * source.row_floats(), x_pixel = std::ptrdiff_t{conv.stride} * conv.c;
  const std::ptrdiff_t out_row = in_place() ? part.row_step : std::ptrdiff_t{part.columns} * width;
  const std::ptrdiff_t out_pixel = in_place() ? part.pixel_step : width;
  float* out = in_place() ? conv.y + image * conv.image_step + part.first + begin * out_row : result;
  bool add = conv.add && in_place();
  each_chunk(part, [&](int tap, int taps, int value, int values) {
    const int ks = taps * values;
    const float* b = weights + static_cast<std::ptrdiff_t>(tap * run + value) * width;
    const float* a = x + (top - part.top + tap) * source.row_floats() + (source.left - part.left) * conv.c + value;
    const auto tile = [&](int i, int g, int column) {
      const std::ptrdiff_t q = groups.begin(g);
      if (source.in_place && conv.stride > 1 && column == 0)
        fetch_pixels(a + (i + rows_ahead) * x_row + q * x_pixel, x_pixel, groups.size(g), values);
      run_tile_of(groups.size(g), packed_width(conv.k, column))(
          a + i * x_row + q * x_pixel, x_pixel, taps, values, source.row_floats(), b + column * ks,
          out + i * out_row + q * out_pixel + column, out_pixel, add);
    };
    if (std::ptrdiff_t{4} * ks * width <= near_weights_bytes) {  // y in order, all weights stay in L1
      for (int i = 0; i < end - begin; ++i)
        for (int g = 0; g < groups.count; ++g)
          for (int column = 0; column < conv.k; column += panel_width) tile(i, g, column);
    } else {
      for (int column = 0; column < conv.k; column += panel_width)
        for (int i = 0; i < end - begin; ++i)
          for (int g = 0; g < groups.count; ++g) tile(i, g, column);
    }
    add = true;
  });
}

void Bands::store_part(const BandPart& part, int image, int begin, int end, const float* result) const {
  float* y = conv.y + image * conv.image_step + part.first;
  for (int i = begin; i < end; ++i)
    for (int q = 0; q < part.columns; ++q, result += round_up(conv.k, lanes)) {
      float* to = y + i * part.row_step + q * part.pixel_step;
      write_row(to, result, conv.k, conv.add);
      if (conv.bias) write_row(to, conv.bias, conv.k, true);
    }
}

/// Outputs that no tap reaches: x between the pixels a strided convolution of 1x1 reads.
void Bands::clear_part(const BandPart& part, int image, int begin, int end) const {
  float* y = conv.y + image * conv.image_step + part.first;
  for (int i = begin; i < end; ++i)
    for (int q = 0; q < part.columns; ++q)
      std::memset(y + i * part.row_step + q * part.pixel_step, 0, conv.k * sizeof(float));
}

void Bands::run_item(int image, int band, const float* weights, float* own) const {
  const int begin = band * per_band;
  float* result = own + band_floats();
  const float* x = source.band(image, begin * conv.stride - top, band_rows, own);
  for (int i = 0; i < conv.part_count; ++i) {
    const BandPart& part = conv.parts[i];
    const int end = smaller(begin + per_band, part.rows);
    if (part.taps_h * part.taps_w == 0) {
      if (!conv.add) clear_part(part, image, begin, end);
      continue;
    }
    run_part(part, image, begin, end, x, weights, result);
    if (!in_place()) store_part(part, image, begin, end, result);
    weights += static_cast<std::ptrdiff_t>(part.taps_h) * part.taps_w * conv.c * round_up(conv.k, lanes);
  }
}

void Bands::run(PackWeights pack, const void* weights, float* scratch) const {
  parallel_items(divide_up(conv.k, panel_width), [&](std::int64_t panel, int) {
    pack_panel(pack, weights, static_cast<int>(panel) * panel_width, scratch);
  });
  const int bands = divide_up(rows, per_band);
  parallel_items(std::int64_t{conv.n} * bands, [&](std::int64_t item, int worker) {
    run_item(static_cast<int>(item / bands), static_cast<int>(item % bands), scratch,
             scratch + packed_weights() + worker * own());
  });
}

}  // namespace

std::size_t band_scratch(const BandConvolution& conv, int workers) { return Bands(conv).scratch(workers); }

void run_band(const BandConvolution& conv, PackWeights pack, const void* weights, float* scratch) {
  Bands(conv).run(pack, weights, scratch);
}

}  // namespace kagami::cpu::KAGAMI_ISA
