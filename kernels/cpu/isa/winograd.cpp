// Winograd convolution: forward and data gradient. Patches are taken in blocks; all input channels of a block are
// transformed into V, then for a chunk of output channels one small product per frequency goes into Q, which is
// transformed back into y. There are two ways to share the work:
//   wide: blocks of patches are the items; weights are transformed once, before. V of an item stays in its cache.
//   deep (large weights, few patches): chunks of output channels are the items and share V; each transforms the weights
//   of its chunk where it uses them, so that the transformed weights (4 times w) never go to memory.
// An output is one fixed chain of operations: its bits depend neither on the way nor on the sizes of blocks.
#include "kernels/cpu/isa/winograd.h"

#include <cstring>

#include "kernels/cpu/isa/winograd_transform.h"
#include "kernels/cpu/parallel.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

// Sizes of blocks, for caches of 1 MiB and more a core.
constexpr int in_chunk_most = 128;                 // input channels at a time: a panel and a tile's rows stay in L1
constexpr std::ptrdiff_t block_bytes = 400 << 10;  // for V, and again for Q, where blocks are the items
constexpr int fewest_patches = 42;                 // in a block: with fewer the product waits for weights
constexpr int most_patches = 56;
constexpr int deep_patches = 112;                    // fewer patches than that in all go the deep way
constexpr std::ptrdiff_t large_weights = 4 << 20;    // bytes of transformed weights
constexpr std::ptrdiff_t deep_q_bytes = 1300 << 10;  // for Q of an item that is a chunk of output channels

class Convolution {
 public:
  explicit Convolution(const WinogradConv& conv);
  std::size_t scratch(int workers) const { return shared_size() + workers * own_size(); }
  void run(float* scratch) const;

 private:
  struct Own {  // scratch of one worker
    float *q, *v, *u, *zeros, *trash;
  };
  std::size_t shared_size() const { return frequencies * (deep ? v_step : weights_step); }
  std::size_t own_size() const {
    return frequencies * (q_step + (deep ? chunk_step : v_step)) + larger(conv.in_c, 16) + larger(conv.out_c, 16);
  }
  Own own(float* scratch, int worker) const;
  Groups groups(int block) const { return Groups(block_end(block) - block_begin(block), tile_rows); }
  int block_begin(int block) const { return Groups(grid.count(), per_block).begin(block); }
  int block_end(int block) const { return block_begin(block + 1); }

  void transform_inputs(int block, int group, float* v, const float* zeros) const;
  void multiply(const Groups& rows, const float* v, const float* u, std::ptrdiff_t u_step, int c0, int outs,
                float* q) const;
  void transform_outputs(int block, const float* q, int k0, int outs, float* trash) const;
  void weights(int c0, int ins, int k0, int outs, float* u, std::ptrdiff_t step) const;
  void weights_forward(int c0, int ins, int k0, int width, float* u, std::ptrdiff_t step) const;
  void weights_gradient(int c0, int ins, int k0, int width, float* u, std::ptrdiff_t step) const;
  void run_wide(float* scratch) const;
  void run_deep(float* scratch) const;
  void item_wide(int block, const float* u, const Own& own) const;
  void item_deep(int block, const float* v, int k0, const Own& own) const;

  const WinogradConv& conv;
  const PatchGrid grid;
  bool deep;
  int per_block;                                            // patches in a block
  int in_chunk, out_chunk;                                  // channels
  std::ptrdiff_t weights_step, v_step, q_step, chunk_step;  // distance of frequencies in each array
};

Convolution::Convolution(const WinogradConv& conv) : conv(conv), grid(conv.n, conv.out_h, conv.out_w) {
  const int patches = grid.count(), deep_most = static_cast<int>(deep_q_bytes / (frequencies * 64 * 4));
  const std::ptrdiff_t weight_bytes = std::ptrdiff_t{4} * frequencies * conv.in_c * conv.out_c;
  deep = patches < deep_patches || (weight_bytes > large_weights && patches <= 2 * deep_most);
  const int fitting = static_cast<int>(block_bytes / (4 * frequencies * conv.in_c));
  per_block = deep ? deep_most : smaller(larger(fitting, fewest_patches), most_patches);
  per_block = divide_up(patches, divide_up(patches, per_block));
  in_chunk = smaller(conv.in_c, in_chunk_most);
  const int panels = static_cast<int>(block_bytes / (4 * frequencies * per_block * panel_width));
  out_chunk = smaller(conv.out_c, deep ? 64 : larger(panels, 1) * panel_width);
  weights_step = frequency_step(std::ptrdiff_t{conv.in_c} * conv.out_c);
  v_step = frequency_step(std::ptrdiff_t{per_block} * conv.in_c);
  q_step = frequency_step(std::ptrdiff_t{per_block} * out_chunk);
  chunk_step = frequency_step(std::ptrdiff_t{in_chunk} * out_chunk);
}

Convolution::Own Convolution::own(float* scratch, int worker) const {
  float* first = scratch + shared_size() + worker * own_size();
  float* second = first + frequencies * q_step;
  float* zeros = second + frequencies * (deep ? chunk_step : v_step);
  std::memset(zeros, 0, conv.in_c * sizeof(float));
  return {first, second, second, zeros, zeros + larger(conv.in_c, 16)};
}

/// V of one group of patches: [frequency][in_c / lanes][row of the group][lanes].
void Convolution::transform_inputs(int block, int group, float* v, const float* zeros) const {
  const Groups rows = groups(block);
  const int begin = rows.begin(group), count = rows.size(group);
  for (int i = 0; i < count; ++i) {
    const float* pixels[frequencies];
    patch_pixels<winograd_in, const float*>(grid, block_begin(block) + begin + i, conv.pad, conv.x, conv.in_h,
                                            conv.in_w, conv.in_c, zeros, pixels);
    float* to = v + static_cast<std::ptrdiff_t>(begin) * conv.in_c + i * lanes;
    for (int c = 0; c < conv.in_c; c += lanes, to += count * lanes) {
      FrequencyWalk walk(to, v_step);
      transform_2d<winograd_in, winograd_in>(
          transform_input<Float>, [&](int j) { return load_and_prefetch(pixels[j] + c, ahead * conv.in_c); },
          [&](int, Float a) { store(walk.next(), a); });
    }
  }
}

/// Q (+)= V U for input channels from c0 on. u(k) is [in][packed width] for the panel that starts at output k.
void Convolution::multiply(const Groups& rows, const float* v, const float* u, std::ptrdiff_t u_step, int c0, int outs,
                           float* q) const {
  const int ins = smaller(in_chunk, conv.in_c - c0);
  const std::ptrdiff_t panel_step = deep ? ins : conv.in_c;  // floats of U for one output
  for (int f = 0; f < frequencies; ++f)
    for (int k = 0; k < outs; k += panel_width) {
      const int width = packed_width(outs, k);
      const float* panel = u + f * u_step + k * panel_step + (deep ? 0 : std::ptrdiff_t{c0} * width);
      for (int g = 0; g < rows.count; ++g) {
        const std::ptrdiff_t begin = rows.begin(g);
        const int count = rows.size(g);
        tile_of<Layout::rows>(count, width)(v + f * v_step + begin * conv.in_c + c0 * count, panel, ins,
                                            q + f * q_step + begin * outs + k * count, lanes, count * lanes, c0 > 0,
                                            deep ? v_step : 0, {});
      }
    }
}

/// y of output channels [k0, k0 + outs) from Q [frequency][outs / lanes][row of the group][lanes].
void Convolution::transform_outputs(int block, const float* q, int k0, int outs, float* trash) const {
  const Groups rows = groups(block);
  for (int g = 0; g < rows.count; ++g)
    for (int i = 0; i < rows.size(g); ++i) {
      float* pixels[winograd_out * winograd_out];
      patch_pixels<winograd_out, float*>(grid, block_begin(block) + rows.begin(g) + i, 0, conv.y, conv.out_h,
                                         conv.out_w, conv.out_c, trash, pixels);
      const float* from = q + static_cast<std::ptrdiff_t>(rows.begin(g)) * outs + i * lanes;
      for (int k = 0; k < outs; k += lanes, from += rows.size(g) * lanes) {
        const Float bias = conv.bias ? load(conv.bias + k0 + k) : Float{};
        FrequencyWalk walk(from, q_step);
        // transform_2d asks for columns first: handing it the frequencies in order transposes the patch, and `out`
        // transposes it back.
        transform_2d<winograd_in, winograd_out>(
            transform_output, [&](int) { return load(walk.next()); },
            [&](int j, Float a) {
              float* to = pixels[j % winograd_out * winograd_out + j / winograd_out] + k0 + k;
              store(to, conv.add ? load(to) + a : a + bias);
            });
      }
    }
}

/// U of output channels [k0, k0 + width) by input channels [c0, c0 + ins): [frequency][ins][width]. Weights have their
/// input channels last: lanes (outputs) are gathered by transposing blocks.
void Convolution::weights_forward(int c0, int ins, int k0, int width, float* u, std::ptrdiff_t step) const {
  for (int k = 0; k < width; k += lanes)
    for (int c = 0; c < ins; c += lanes) {
      Float taps[9][lanes];
      for (int i = 0; i < 9; ++i) {
        const float* from = conv.w + (static_cast<std::ptrdiff_t>(k0 + k) * 9 + i) * conv.in_c + c0 + c;
#pragma GCC unroll 16
        for (int l = 0; l < lanes; ++l) taps[i][l] = load(from + std::ptrdiff_t{9} * l * conv.in_c);
        transpose(taps[i]);
      }
      for (int l = 0; l < lanes; ++l) {
        FrequencyWalk walk(u + (c + l) * width + k, step);
        transform_2d<3, winograd_in>(
            transform_weights, [&](int i) { return taps[i][l]; }, [&](int, Float a) { store(walk.next(), a); });
      }
    }
}

/// The same for a data gradient: outputs are last in w, and the taps are turned round.
void Convolution::weights_gradient(int c0, int ins, int k0, int width, float* u, std::ptrdiff_t step) const {
  for (int c = 0; c < ins; ++c)
    for (int k = 0; k < width; k += lanes) {
      const float* from = conv.w + (static_cast<std::ptrdiff_t>(c0 + c) * 9 + 8) * conv.out_c + k0 + k;
      FrequencyWalk walk(u + c * width + k, step);
      transform_2d<3, winograd_in>(
          transform_weights, [&](int i) { return load(from - static_cast<std::ptrdiff_t>(i) * conv.out_c); },
          [&](int, Float a) { store(walk.next(), a); });
    }
}

void Convolution::weights(int c0, int ins, int k0, int outs, float* u, std::ptrdiff_t step) const {
  for (int k = 0; k < outs; k += panel_width) {
    float* panel = u + static_cast<std::ptrdiff_t>(k) * ins;
    const int width = packed_width(outs, k);
    if (conv.gradient)
      weights_gradient(c0, ins, k0 + k, width, panel, step);
    else
      weights_forward(c0, ins, k0 + k, width, panel, step);
  }
}

void Convolution::item_wide(int block, const float* u, const Own& own) const {
  const Groups rows = groups(block);
  for (int g = 0; g < rows.count; ++g) transform_inputs(block, g, own.v, own.zeros);
  for (int k0 = 0; k0 < conv.out_c; k0 += out_chunk) {
    const int outs = smaller(out_chunk, conv.out_c - k0);
    for (int c0 = 0; c0 < conv.in_c; c0 += in_chunk)
      multiply(rows, own.v, u + static_cast<std::ptrdiff_t>(k0) * conv.in_c, weights_step, c0, outs, own.q);
    transform_outputs(block, own.q, k0, outs, own.trash);
  }
}

void Convolution::run_wide(float* scratch) const {
  const int in_chunks = divide_up(conv.in_c, in_chunk), panels = divide_up(conv.out_c, panel_width);
  parallel_items(in_chunks * panels, [&](std::int64_t item, int) {
    const int c0 = static_cast<int>(item % in_chunks) * in_chunk, k0 = static_cast<int>(item / in_chunks) * panel_width;
    const int width = packed_width(conv.out_c, k0);
    weights(c0, smaller(in_chunk, conv.in_c - c0), k0, width,
            scratch + static_cast<std::ptrdiff_t>(k0) * conv.in_c + c0 * width, weights_step);
  });
  parallel_items(divide_up(grid.count(), per_block), [&](std::int64_t block, int worker) {
    item_wide(static_cast<int>(block), scratch, own(scratch, worker));
  });
}

void Convolution::item_deep(int block, const float* v, int k0, const Own& own) const {
  const int outs = smaller(out_chunk, conv.out_c - k0);
  for (int c0 = 0; c0 < conv.in_c; c0 += in_chunk) {
    weights(c0, smaller(in_chunk, conv.in_c - c0), k0, outs, own.u, chunk_step);
    multiply(groups(block), v, own.u, chunk_step, c0, outs, own.q);
  }
  transform_outputs(block, own.q, k0, outs, own.trash);
}

void Convolution::run_deep(float* scratch) const {
  for (int block = 0; block < divide_up(grid.count(), per_block); ++block) {
    parallel_items(groups(block).count, [&](std::int64_t group, int worker) {
      transform_inputs(block, static_cast<int>(group), scratch, own(scratch, worker).zeros);
    });
    parallel_items(divide_up(conv.out_c, out_chunk), [&](std::int64_t chunk, int worker) {
      item_deep(block, scratch, static_cast<int>(chunk) * out_chunk, own(scratch, worker));
    });
  }
}

void Convolution::run(float* scratch) const {
  if (deep)
    run_deep(scratch);
  else
    run_wide(scratch);
}

}  // namespace

std::size_t few_channels_scratch(const WinogradConv& conv, int workers);
void run_few_channels(const WinogradConv& conv, float* scratch);

std::size_t winograd_conv_scratch(const WinogradConv& conv, int workers) {
  return conv.in_c % lanes != 0 ? few_channels_scratch(conv, workers) : Convolution(conv).scratch(workers);
}
void winograd_conv(const WinogradConv& conv, float* scratch) {
  if (conv.in_c % lanes != 0) return run_few_channels(conv, scratch);
  Convolution(conv).run(scratch);
}
std::size_t winograd_weight_gradient_scratch(const WinogradWeightGradient& gradient, int workers);
void winograd_weight_gradient(const WinogradWeightGradient& gradient, float* scratch);

const WinogradKernels winograd_kernels{lanes, winograd_conv_scratch, winograd_conv, winograd_weight_gradient_scratch,
                                       winograd_weight_gradient};

}  // namespace kagami::cpu::KAGAMI_ISA
