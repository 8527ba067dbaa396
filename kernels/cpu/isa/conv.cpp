// Direct convolution: on bands where rows are long enough for a tile (conv_band.h), else as products of packed patches
// with packed weights (matmul_product.h).
#include "kernels/cpu/isa/conv.h"

#include "kernels/cpu/isa/conv_band.h"
#include "kernels/cpu/isa/conv_patches.h"
#include "kernels/cpu/isa/matmul_pack.h"
#include "kernels/cpu/isa/matmul_product.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

constexpr std::int64_t pointwise_sum_most = 16 << 10;  // floats

PatchMatrix patches_of(const DirectShape& z, const float* x) {
  return {x, std::ptrdiff_t{z.n} * z.h * z.w * z.c, z.h, z.w, z.c, z.r, z.s, z.stride, z.pad, z.pad, z.out_h, z.out_w};
}

/// Whether bands take it, given the outputs in a row (of each phase).
bool takes_bands(const DirectShape& z, int columns) { return columns >= 8 && z.stride <= 2; }

// Forward: y [pixels, k] = patches [pixels, r s c] w^T.

struct Outputs {
  float* y;
  const float* bias;
  int k;
  void store(int row, int column, int count, float* values) const {
    if (bias)
      for (int j = 0; j < count; ++j) values[j] += bias[column + j];
    write_row(y + static_cast<std::ptrdiff_t>(row) * k + column, values, count, false);
  }
};

template <class F>
auto with_forward(const DirectShape& z, const float* x, const float* w, float* y, const float* bias, F f) {
  const PatchMatrix patches = patches_of(z, x);
  const PatchRows a{patches};
  const PanelsOfMatrix b{w, patches.length(), true};
  const Outputs c{y, bias, z.k};
  return f(RowProduct<PatchRows, PanelsOfMatrix, Outputs>(z.n * z.out_h * z.out_w, z.k, patches.length(), a, b, c));
}

BandConvolution forward_bands(const DirectShape& z, const float* x, float* y, const float* bias) {
  const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(z.out_w) * z.k;
  return {x,
          z.n,
          z.h,
          z.w,
          z.c,
          z.stride,
          y,
          z.out_h * row,
          z.k,
          bias,
          false,
          1,
          {{z.r, z.s, z.pad, z.pad, z.out_h, z.out_w, 0, row, z.k}}};
}

struct ForwardWeights {
  PanelsOfMatrix w;
  static void pack(const void* self, int, int k0, int ks, int column, int columns, float* to) {
    static_cast<const ForwardWeights*>(self)->w.pack(k0, ks, column, columns, to);
  }
};

std::size_t forward_scratch(const DirectShape& z, int workers) {
  if (takes_bands(z, z.out_w)) return band_scratch(forward_bands(z, nullptr, nullptr, nullptr), workers);
  return with_forward(z, nullptr, nullptr, nullptr, nullptr, [&](const auto& p) { return p.scratch(workers); });
}

void forward(const DirectShape& z, const float* x, const float* w, float* y, const float* bias, float* scratch) {
  if (takes_bands(z, z.out_w)) {
    const ForwardWeights weights{{w, z.r * z.s * z.c, true}};
    return run_band(forward_bands(z, x, y, bias), ForwardWeights::pack, &weights, scratch);
  }
  with_forward(z, x, w, y, bias, [&](const auto& p) { p.run(scratch); });
}

// Data gradient: the pixels of dx fall into stride^2 phases by the remainder of row and column. In one phase all pixels
// are reached by the same taps, every stride-th, and dx is a stride-1 convolution of dy with those taps turned round.

/// One axis of a phase.
struct Phase {
  int first, stride;  // pixels first, first + stride, ... of dx
  int count;
  int tap, taps;  // taps tap, tap + stride, ... reach them
  int before;     // how far the patch of pixel 0 starts before the first row of dy
  Phase(int first, int size, int taps_in_all, int stride, int pad)
      : first(first),
        stride(stride),
        count(first < size ? divide_up(size - first, stride) : 0),
        tap((first + pad) % stride),
        taps(tap < taps_in_all ? divide_up(taps_in_all - tap, stride) : 0),
        before(taps - 1 - (first + pad) / stride) {}
  /// The tap at place i of the patch.
  int tap_at(int i) const { return tap + stride * (taps - 1 - i); }
};

/// B, a single panel at a time: row (i, j, k) is w[k][tap i][tap j], c values.
struct PhaseWeights {
  const DirectShape& z;
  const float* w;
  Phase down, across;
  void pack(int k0, int ks, int column, int columns, float* to) const {
    const int packed = packed_width(columns, 0);
    for (int p = k0; p < k0 + ks; ++p, to += packed) {
      const int place = p / z.k, k = p % z.k;
      const std::ptrdiff_t tap = (static_cast<std::ptrdiff_t>(k) * z.r + down.tap_at(place / across.taps)) * z.s +
                                 across.tap_at(place % across.taps);
      pack_row(w + tap * z.c + column, columns, packed, to);
    }
  }
};

struct PhasePixels {
  const DirectShape& z;
  float* dx;
  bool add;
  Phase down, across;
  void store(int row, int column, int count, float* values) const {
    const int j = row % across.count, i = row / across.count % down.count, image = row / across.count / down.count;
    const std::ptrdiff_t pixel = (static_cast<std::ptrdiff_t>(image) * z.h + down.first + i * down.stride) * z.w +
                                 across.first + j * across.stride;
    write_row(dx + pixel * z.c + column, values, count, add);
  }
};

/// Calls f with the product of every phase that has pixels.
template <class F>
void each_phase(const DirectShape& z, const float* dy, const float* w, float* dx, bool add, F f) {
  for (int i = 0; i < z.stride; ++i)
    for (int j = 0; j < z.stride; ++j) {
      const Phase down(i, z.h, z.r, z.stride, z.pad), across(j, z.w, z.s, z.stride, z.pad);
      const int pixels = z.n * down.count * across.count;
      if (pixels == 0 || (add && down.taps * across.taps == 0)) continue;
      const PatchMatrix patches{dy,          static_cast<std::ptrdiff_t>(z.n) * z.out_h * z.out_w * z.k,
                                z.out_h,     z.out_w,
                                z.k,         down.taps,
                                across.taps, 1,
                                down.before, across.before,
                                down.count,  across.count};
      const PatchRows a{patches};
      const PhaseWeights b{z, w, down, across};
      const PhasePixels c{z, dx, add, down, across};
      f(RowProduct<PatchRows, PhaseWeights, PhasePixels>(pixels, z.c, patches.length(), a, b, c));
    }
}

struct DgradWeights {
  PhaseWeights phases[BandConvolution::parts_most];
  static void pack(const void* self, int part, int k0, int ks, int column, int columns, float* to) {
    static_cast<const DgradWeights*>(self)->phases[part].pack(k0, ks, column, columns, to);
  }
};

/// Calls f with the convolution on bands and its weights: one part for each phase.
template <class F>
auto with_dgrad_bands(const DirectShape& z, const float* dy, const float* w, float* dx, bool add, F f) {
  const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(z.w) * z.c;
  BandConvolution conv{dy, z.n, z.out_h, z.out_w, z.k, 1, dx, z.h * row, z.c, nullptr, add, 0, {}};
  const Phase none(0, 1, 1, 1, 0);
  DgradWeights weights{{{z, w, none, none}, {z, w, none, none}, {z, w, none, none}, {z, w, none, none}}};
  for (int i = 0; i < z.stride; ++i)
    for (int j = 0; j < z.stride; ++j) {
      const Phase down(i, z.h, z.r, z.stride, z.pad), across(j, z.w, z.s, z.stride, z.pad);
      weights.phases[conv.part_count].down = down;
      weights.phases[conv.part_count].across = across;
      conv.parts[conv.part_count++] = {down.taps,    across.taps,       down.before,    across.before, down.count,
                                       across.count, i * row + j * z.c, z.stride * row, z.stride * z.c};
    }
  return f(conv, weights);
}

std::size_t dgrad_scratch(const DirectShape& z, int workers) {
  if (takes_bands(z, z.w / z.stride))
    return with_dgrad_bands(z, nullptr, nullptr, nullptr, false, [&](const BandConvolution& conv, const DgradWeights&) {
      return band_scratch(conv, workers);
    });
  std::size_t most = 0;
  each_phase(z, nullptr, nullptr, nullptr, false, [&](const auto& p) { most = larger(most, p.scratch(workers)); });
  return most;
}

void dgrad(const DirectShape& z, const float* dy, const float* w, float* dx, bool add, float* scratch) {
  if (takes_bands(z, z.w / z.stride))
    return with_dgrad_bands(z, dy, w, dx, add, [&](const BandConvolution& conv, const DgradWeights& weights) {
      run_band(conv, DgradWeights::pack, &weights, scratch);
    });
  each_phase(z, dy, w, dx, add, [&](const auto& p) { p.run(scratch); });
}

// Weight gradient: dw [k, r s c] = dy^T [k, pixels] patches [pixels, r s c].

struct WeightRows {
  float* dw;
  int length;
  bool add;
  void store(int row, int column, int count, float* values) const {
    write_row(dw + static_cast<std::ptrdiff_t>(row) * length + column, values, count, add);
  }
};

template <class F>
auto with_wgrad(const DirectShape& z, const float* x, const float* dy, float* dw, bool add, F f) {
  const PatchMatrix patches = patches_of(z, x);
  const int pixels = z.n * z.out_h * z.out_w;
  const ColumnsOfMatrix a{dy, z.k, static_cast<std::ptrdiff_t>(pixels) * z.k};
  const PatchPanels b{patches};
  const WeightRows c{dw, patches.length(), add};
  return f(DeepProduct<ColumnsOfMatrix, PatchPanels, WeightRows>(z.k, patches.length(), pixels, a, b, c));
}

/// Bands hold the whole gradient as their sum: without taps that share what they read, one beyond the nearest memory is
/// better off as a product of packed operands.
bool wgrad_takes_bands(const DirectShape& z) {
  return takes_bands(z, z.out_w) && (z.r * z.s > 1 || std::int64_t{z.c} * z.k <= pointwise_sum_most);
}

std::size_t wgrad_scratch(const DirectShape& z, int workers) {
  if (wgrad_takes_bands(z)) return band_wgrad_scratch(z, workers);
  return with_wgrad(z, nullptr, nullptr, nullptr, false, [&](const auto& p) { return p.scratch(workers); });
}

void wgrad(const DirectShape& z, const float* x, const float* dy, float* dw, bool add, float* scratch) {
  if (wgrad_takes_bands(z)) return run_band_wgrad(z, x, dy, dw, add, scratch);
  with_wgrad(z, x, dy, dw, add, [&](const auto& p) { p.run(scratch); });
}

}  // namespace

const ConvKernels conv_kernels{forward_scratch, forward, dgrad_scratch, dgrad, wgrad_scratch, wgrad};

}  // namespace kagami::cpu::KAGAMI_ISA
