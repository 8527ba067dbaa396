// Winograd convolution of images with few channels. A product over three channels is over before it has begun, so here
// nothing goes by way of memory: a tile keeps the products of a column of frequencies in registers and transforms them
// at once. The items are some rows of patches.
#include "kernels/cpu/isa/conv_band.h"
#include "kernels/cpu/isa/winograd.h"
#include "kernels/cpu/isa/winograd_transform.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

constexpr int few = winograd_few_channels;
constexpr int items_most = 256;  // a row of patches alone is soon done

typedef float Channels __attribute__((vector_size(4 * few)));
typedef float UnalignedChannels __attribute__((vector_size(4 * few), aligned(4), may_alias));

/// Where the outputs of a tile go.
struct TileOutputs {
  float* y;  ///< the first
  std::ptrdiff_t row_step, pixel_step;
  int rows, columns;  ///< how many of the patch there are
  const float* bias;  ///< of the first channel, or null
};

/// Fetches a column of them: y is not in the order in which a processor expects it.
template <int W>
KAGAMI_INLINE void fetch_outputs(const TileOutputs& out, int column) {
#pragma GCC unroll 4
  for (int i = 0; i < winograd_out; ++i)
    for (int line = 0; line < W * lanes; line += 16)
      __builtin_prefetch(out.y + i * out.row_step + column * out.pixel_step + line, 1);
}

template <int W>
KAGAMI_INLINE void store_outputs(const Float (&t)[W][winograd_out][winograd_in], const TileOutputs& out, int rows,
                                 int columns) {
#pragma GCC unroll 2
  for (int w = 0; w < W; ++w) {
    const Float bias = out.bias ? load(out.bias + w * lanes) : Float{};
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) {
      Float row[winograd_out];
      transform_output(t[w][i], row);
#pragma GCC unroll 4
      for (int j = 0; j < columns; ++j) store(out.y + i * out.row_step + j * out.pixel_step + w * lanes, row[j] + bias);
    }
  }
}

/// The outputs of a patch by W vectors of channels. v is [frequency][few]; u, in the order it is read, [column of
/// frequencies][channel][row][W * lanes].
template <int W>
void few_tile(const float* v, const float* u, int channels, const TileOutputs& out) {
  Float t[W][winograd_out][winograd_in];
  for (int j = 0; j < winograd_in; ++j) {
    if (j < winograd_out) fetch_outputs<W>(out, j);
    Float m[W][winograd_in] = {};
    for (int c = 0; c < channels; ++c, u += winograd_in * W * lanes)
#pragma GCC unroll 6
      for (int i = 0; i < winograd_in; ++i) {
        const Float value = broadcast(v[(i * winograd_in + j) * few + c]);
#pragma GCC unroll 2
        for (int w = 0; w < W; ++w) m[w][i] += value * load(u + (i * W + w) * lanes);
      }
#pragma GCC unroll 2
    for (int w = 0; w < W; ++w) {
      Float column[winograd_out];
      transform_output(m[w], column);
#pragma GCC unroll 4
      for (int i = 0; i < winograd_out; ++i) t[w][i][j] = column[i];
    }
  }
  if (out.rows >= winograd_out && out.columns >= winograd_out)
    store_outputs(t, out, winograd_out, winograd_out);
  else
    store_outputs(t, out, smaller(winograd_out, out.rows), smaller(winograd_out, out.columns));
}

class FewChannels {
 public:
  explicit FewChannels(const WinogradConv& conv)
      : conv(conv),
        grid(conv.n, conv.out_h, conv.out_w),
        source{conv.x, conv.in_h, conv.in_w, conv.in_c, conv.pad, (grid.columns - 1) * winograd_out + winograd_in} {}
  std::size_t scratch(int workers) const { return weights_floats() + workers * own(); }
  void run(float* scratch) const;

 private:
  std::size_t weights_floats() const { return static_cast<std::size_t>(frequencies) * conv.in_c * conv.out_c; }
  std::size_t band_floats() const { return winograd_in * source.row_floats() + slack; }
  std::ptrdiff_t row_floats() const { return round_up(static_cast<int>(source.row_floats()), lanes); }
  std::size_t own() const {
    const std::size_t patches = static_cast<std::size_t>(grid.columns) * frequencies * few;
    return (band_floats() + winograd_in * row_floats() + slack + patches + 15) / 16 *
           16;  // workers share no cache line
  }
  void weights(int k, int vectors, float* u) const;
  const float* transform_inputs(int image, int row, float* own) const;
  void run_row(int image, int row, const float* u, float* own) const;

  const WinogradConv& conv;
  const PatchGrid grid;
  const BandSource source;
};

void FewChannels::weights(int k, int vectors, float* u) const {
  for (int c = 0; c < conv.in_c; ++c)
    for (int w = 0; w < vectors; ++w) {
      const float* from = conv.w + static_cast<std::ptrdiff_t>(k + w * lanes) * 9 * conv.in_c + c;
      transform_2d<3, winograd_in>(
          transform_weights,
          [&](int tap) {
            Float values;
            for (int l = 0; l < lanes; ++l) values[l] = from[(static_cast<std::ptrdiff_t>(l) * 9 + tap) * conv.in_c];
            return values;
          },
          [&](int f, Float value) {
            const int i = f / winograd_in, j = f % winograd_in;
            store(u + (((j * conv.in_c + c) * winograd_in + i) * vectors + w) * lanes, value);
          });
    }
}

/// V [patch][frequency][few] of a row of patches: down all columns at once, then across patch by patch.
const float* FewChannels::transform_inputs(int image, int row, float* own) const {
  const float* band = source.band(image, row * winograd_out - conv.pad, winograd_in, own);
  float *down = own + band_floats(), *v = down + winograd_in * row_floats() + slack;
  for (std::ptrdiff_t f = 0; f < source.row_floats(); f += lanes) {
    Float x[winograd_in], y[winograd_in];
#pragma GCC unroll 6
    for (int i = 0; i < winograd_in; ++i) x[i] = load(band + i * source.row_floats() + f);
    transform_input(x, y);
#pragma GCC unroll 6
    for (int i = 0; i < winograd_in; ++i) store(down + i * row_floats() + f, y[i]);
  }
  float* to = v;
  for (int patch = 0; patch < grid.columns; ++patch)
    for (int i = 0; i < winograd_in; ++i, to += winograd_in * few) {
      const float* from = down + i * row_floats() + std::ptrdiff_t{patch} * winograd_out * conv.in_c;
      Channels x[winograd_in], y[winograd_in];
#pragma GCC unroll 6
      for (int j = 0; j < winograd_in; ++j) x[j] = *reinterpret_cast<const UnalignedChannels*>(from + j * conv.in_c);
      transform_input(x, y);
#pragma GCC unroll 6
      for (int j = 0; j < winograd_in; ++j) *reinterpret_cast<UnalignedChannels*>(to + j * few) = y[j];
    }
  return v;
}

void FewChannels::run_row(int image, int row, const float* u, float* own) const {
  const float* v = transform_inputs(image, row, own);
  const std::ptrdiff_t row_step = static_cast<std::ptrdiff_t>(conv.out_w) * conv.out_c;
  float* y = conv.y + (static_cast<std::ptrdiff_t>(image) * conv.out_h + row * winograd_out) * row_step;
  for (int patch = 0; patch < grid.columns; ++patch, v += frequencies * few)
    for (int k = 0; k < conv.out_c; k += panel_width) {
      const int column = patch * winograd_out;
      const TileOutputs out{y + std::ptrdiff_t{column} * conv.out_c + k,
                            row_step,
                            conv.out_c,
                            conv.out_h - row * winograd_out,
                            conv.out_w - column,
                            conv.bias ? conv.bias + k : nullptr};
      const auto tile = packed_width(conv.out_c, k) == lanes ? few_tile<1> : few_tile<2>;
      tile(v, u + static_cast<std::ptrdiff_t>(k) * frequencies * conv.in_c, conv.in_c, out);
    }
}

void FewChannels::run(float* scratch) const {
  parallel_items(divide_up(conv.out_c, panel_width), [&](std::int64_t item, int) {
    const int k = static_cast<int>(item) * panel_width;
    weights(k, packed_width(conv.out_c, k) / lanes, scratch + static_cast<std::ptrdiff_t>(k) * frequencies * conv.in_c);
  });
  const int rows = conv.n * grid.rows;
  const Pieces items{rows, divide_up(rows, items_most)};
  parallel_items(items.count(), [&](std::int64_t item, int worker) {
    const int first = items.begin(static_cast<int>(item));
    for (int row = first; row < first + items.length(static_cast<int>(item)); ++row)
      run_row(row / grid.rows, row % grid.rows, scratch, scratch + weights_floats() + worker * own());
  });
}

}  // namespace

std::size_t few_channels_scratch(const WinogradConv& conv, int workers) { return FewChannels(conv).scratch(workers); }
void run_few_channels(const WinogradConv& conv, float* scratch) { FewChannels(conv).run(scratch); }

}  // namespace kagami::cpu::KAGAMI_ISA
