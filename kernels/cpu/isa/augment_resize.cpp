// From 8-bit RGB to resized planes, and from planes to normalised NHWC.
#include "kernels/augment_pixel.h"
#include "kernels/cpu/augment_kernels.h"
#include "kernels/cpu/isa/augment_loops.h"
#include "kernels/cpu/isa/augment_tile.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

typedef std::uint8_t Bytes __attribute__((vector_size(lanes)));
typedef std::uint8_t UnalignedBytes __attribute__((vector_size(lanes), aligned(1), may_alias));

KAGAMI_INLINE Float load_bytes(const std::uint8_t* p, int count) {
  Bytes bytes{};
  if (count >= lanes)
    bytes = *reinterpret_cast<const UnalignedBytes*>(p);
  else
    for (int i = 0; i < count; ++i) bytes[i] = p[i];
  return __builtin_convertvector(__builtin_convertvector(bytes, Int), Float);
}

/// Output rows y0 ... y0+lanes-1 of the vertical pass, transposed: column xc = 3 x + c is at columns + xc * lanes.
void vertical_band(const std::uint8_t* crop, std::int64_t row_bytes, int row_values, const AxisWeights& axis, int y0,
                   int rows_left, float* columns) {
  for (int xc = 0; xc < row_values; xc += lanes) {
    Float rows[lanes];
    const int values_left = row_values - xc;
    for (int j = 0; j < lanes; ++j) {
      rows[j] = Float{};
      if (j >= rows_left) continue;
      const float* w = axis.weights + static_cast<std::int64_t>(y0 + j) * axis.stride;
      const std::uint8_t* source = crop + axis.first[y0 + j] * row_bytes + xc;
      Float sum{};
      for (int t = 0; t < axis.count[y0 + j]; ++t) sum += w[t] * load_bytes(source + t * row_bytes, values_left);
      rows[j] = sum;
    }
    transpose(rows);
    for (int i = 0; i < lanes; ++i) store(columns + static_cast<std::int64_t>(xc + i) * lanes, rows[i]);
  }
}

/// Output columns of the band: x from its input columns, all rows of the band at once.
void horizontal_band(const float* columns, const AxisWeights& axis, bool mirror, int y0, int rows_left,
                     const Planes& out) {
  const int size = out.size;
  for (int x = 0; x < size; ++x) {
    const float* w = axis.weights + static_cast<std::int64_t>(x) * axis.stride;
    const float* source = columns + static_cast<std::int64_t>(axis.first[x]) * 3 * lanes;
    Float r{}, g{}, b{};
    for (int t = 0; t < axis.count[x]; ++t, source += 3 * lanes) {
      r += w[t] * load(source);
      g += w[t] * load(source + lanes);
      b += w[t] * load(source + 2 * lanes);
    }
    const std::int64_t place = static_cast<std::int64_t>(mirror ? size - 1 - x : x) * size + y0;
    store_first(out.channel[0] + place, pixel::clamped(r / 255.0F), rows_left);
    store_first(out.channel[1] + place, pixel::clamped(g / 255.0F), rows_left);
    store_first(out.channel[2] + place, pixel::clamped(b / 255.0F), rows_left);
  }
}

}  // namespace

void resize(const std::uint8_t* crop, std::int64_t row_bytes, int width, const AxisWeights& vertical,
            const AxisWeights& horizontal, bool mirror, float* columns, const Planes& out) {
  for (int y0 = 0; y0 < out.size; y0 += lanes) {
    const int rows_left = out.size - y0;
    vertical_band(crop, row_bytes, 3 * width, vertical, y0, rows_left, columns);
    horizontal_band(columns, horizontal, mirror, y0, rows_left, out);
  }
  const std::int64_t pixels = static_cast<std::int64_t>(out.size) * out.size;
  for (float* plane : out.channel)
    for (int i = 0; i < plane_padding; ++i) plane[pixels + i] = 0.0F;
}

void store_view(const Planes& x, const float* mean, const float* inverse_std, float* out) {
  const int size = x.size, row_values = 3 * size;
  for (int xc = 0; xc < row_values; xc += lanes) {
    const int values_left = row_values - xc;
    const float* source[lanes];
    float channel_mean[lanes], channel_scale[lanes];
    for (int i = 0; i < lanes; ++i) {
      const int value = i < values_left ? xc + i : xc, c = value % 3;
      source[i] = x.channel[c] + static_cast<std::int64_t>(value / 3) * size;
      channel_mean[i] = mean[c];
      channel_scale[i] = inverse_std[c];
    }
    for (int y0 = 0; y0 < size; y0 += lanes) {
      Float rows[lanes];
      for (int i = 0; i < lanes; ++i)
        rows[i] = pixel::normalized(load(source[i] + y0), channel_mean[i], channel_scale[i]);
      transpose(rows);
      for (int j = 0; j < lanes && y0 + j < size; ++j)
        store_first(out + static_cast<std::int64_t>(y0 + j) * row_values + xc, rows[j], values_left);
    }
  }
}

}  // namespace kagami::cpu::KAGAMI_ISA
