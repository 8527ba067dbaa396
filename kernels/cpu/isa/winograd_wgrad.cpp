// Winograd convolution: gradient of the weights. Each item takes a chunk of k, a chunk of c and a share of the patches;
// it sums (A dy A^T) . (B^T x B) over its patches, one matrix product per frequency, and turns the sum into 3x3 once,
// at the end. The number of shares follows from the shape alone, because it decides the order of summation.
#include <cstring>

#include "kernels/cpu/isa/winograd.h"
#include "kernels/cpu/isa/winograd_transform.h"
#include "kernels/cpu/parallel.h"

namespace kagami::cpu::KAGAMI_ISA {

std::size_t winograd_weight_gradient_scratch(const WinogradWeightGradient& gradient, int workers);
void winograd_weight_gradient(const WinogradWeightGradient& gradient, float* scratch);

namespace {

constexpr int chunk_most = 64;         // channels, of c and of k
constexpr int patches_at_a_time = 48;  // transformed together
constexpr int least_in_share = 256;    // patches
constexpr int enough_items = 16;

class WeightGradient {
 public:
  explicit WeightGradient(const WinogradWeightGradient& gradient);
  std::size_t scratch(int workers) const { return shares_size() + workers * own_size(); }
  void run(float* scratch) const;

 private:
  struct Item {
    float *v, *d, *sum, *zeros;  // V [f][panel of c][patch][width], D [f][patch][k], sum [f][k][c]
    int c0, cs, k0, ks;          // its channels
    int begin, end;              // its patches
    float* dw;
  };
  std::size_t weights() const { return std::size_t{9} * gradient.c * gradient.k; }
  std::size_t shares_size() const { return shares > 1 ? shares * weights() : 0; }
  std::size_t own_size() const {
    return frequencies * (v_step + d_step + sum_step) + larger(larger(gradient.c, gradient.k), 16);
  }
  void transform(const Item& item, int begin, int count) const;
  void multiply(const Item& item, int count, bool add) const;
  void finish(const Item& item) const;
  void run_item(const Item& item) const;
  Item item(int share, int c_chunk, int k_chunk, float* scratch, int worker) const;
  void add_shares(const float* parts) const;

  const WinogradWeightGradient& gradient;
  const PatchGrid grid;
  int c_chunk, k_chunk, c_chunks, k_chunks, shares;
  std::ptrdiff_t v_step, d_step, sum_step;
};

WeightGradient::WeightGradient(const WinogradWeightGradient& gradient)
    : gradient(gradient), grid(gradient.n, gradient.out_h, gradient.out_w) {
  c_chunk = smaller(gradient.c, chunk_most);
  k_chunk = smaller(gradient.k, chunk_most);
  c_chunks = divide_up(gradient.c, c_chunk);
  k_chunks = divide_up(gradient.k, k_chunk);
  shares = larger(1, smaller(grid.count() / least_in_share, enough_items / (c_chunks * k_chunks)));
  v_step = frequency_step(std::ptrdiff_t{patches_at_a_time} * c_chunk);
  d_step = frequency_step(std::ptrdiff_t{patches_at_a_time} * k_chunk);
  sum_step = frequency_step(std::ptrdiff_t{c_chunk} * k_chunk);
}

WeightGradient::Item WeightGradient::item(int share, int ic, int ik, float* scratch, int worker) const {
  Item item;
  item.v = scratch + shares_size() + worker * own_size();
  item.d = item.v + frequencies * v_step;
  item.sum = item.d + frequencies * d_step;
  item.zeros = item.sum + frequencies * sum_step;
  std::memset(item.zeros, 0, larger(gradient.c, gradient.k) * sizeof(float));
  item.c0 = ic * c_chunk;
  item.cs = smaller(c_chunk, gradient.c - item.c0);
  item.k0 = ik * k_chunk;
  item.ks = smaller(k_chunk, gradient.k - item.k0);
  const std::int64_t patches = grid.count();
  item.begin = static_cast<int>(patches * share / shares);
  item.end = static_cast<int>(patches * (share + 1) / shares);
  item.dw = shares > 1 ? scratch + share * weights() : gradient.dw;
  return item;
}

void WeightGradient::transform(const Item& item, int begin, int count) const {
  for (int i = 0; i < count; ++i) {
    const float *x[frequencies], *dy[winograd_out * winograd_out];
    patch_pixels<winograd_in, const float*>(grid, begin + i, gradient.pad, gradient.x, gradient.h, gradient.w,
                                            gradient.c, item.zeros, x);
    for (int c = 0; c < item.cs; c += lanes) {
      const int panel = c / panel_width * panel_width;
      FrequencyWalk walk(item.v + panel * count + i * packed_width(item.cs, panel) + c - panel, v_step);
      transform_2d<winograd_in, winograd_in>(
          transform_input<Float>, [&](int j) { return load_and_prefetch(x[j] + item.c0 + c, ahead * gradient.c); },
          [&](int, Float a) { store(walk.next(), a); });
    }
    patch_pixels<winograd_out, const float*>(grid, begin + i, 0, gradient.dy, gradient.out_h, gradient.out_w,
                                             gradient.k, item.zeros, dy);
    for (int k = 0; k < item.ks; k += lanes) {
      FrequencyWalk walk(item.d + i * item.ks + k, d_step);
      transform_2d<winograd_out, winograd_in>(
          transform_output_gradient, [&](int j) { return load_and_prefetch(dy[j] + item.k0 + k, ahead * gradient.k); },
          [&](int, Float a) { store(walk.next(), a); });
    }
  }
}

void WeightGradient::multiply(const Item& item, int count, bool add) const {
  const Groups rows(item.ks, tile_rows);
  for (int f = 0; f < frequencies; ++f)
    for (int c = 0; c < item.cs; c += panel_width)
      for (int g = 0; g < rows.count; ++g)
        tile_of<Layout::columns>(rows.size(g), packed_width(item.cs, c))(
            item.d + f * d_step + rows.begin(g), item.v + f * v_step + c * count, count,
            item.sum + f * sum_step + rows.begin(g) * item.cs + c, item.cs, lanes, add, item.ks, {});
}

void WeightGradient::finish(const Item& item) const {
  const bool add = gradient.add && shares == 1;
  for (int k = 0; k < item.ks; ++k)
    for (int c = 0; c < item.cs; c += lanes) {
      FrequencyWalk walk(item.sum + k * item.cs + c, sum_step);
      float* to = item.dw + (static_cast<std::ptrdiff_t>(item.k0 + k) * 9) * gradient.c + item.c0 + c;
      // Frequencies come in order although columns are asked for first: the result is transposed back.
      transform_2d<winograd_in, 3>(
          transform_weights_gradient, [&](int) { return load(walk.next()); },
          [&](int i, Float a) {
            float* tap = to + static_cast<std::ptrdiff_t>(i % 3 * 3 + i / 3) * gradient.c;
            store(tap, add ? load(tap) + a : a);
          });
    }
}

void WeightGradient::run_item(const Item& item) const {
  const Groups blocks(item.end - item.begin, patches_at_a_time);
  for (int b = 0; b < blocks.count; ++b) {
    transform(item, item.begin + blocks.begin(b), blocks.size(b));
    multiply(item, blocks.size(b), b > 0);
  }
  finish(item);
}

void WeightGradient::add_shares(const float* parts) const {
  parallel_for(static_cast<std::int64_t>(weights() / lanes), 512, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first * lanes; i < last * lanes; i += lanes) {
      Float sum = gradient.add ? load(gradient.dw + i) : Float{};
      for (int share = 0; share < shares; ++share) sum += load(parts + share * weights() + i);
      store(gradient.dw + i, sum);
    }
  });
}

void WeightGradient::run(float* scratch) const {
  parallel_items(std::int64_t{shares} * c_chunks * k_chunks, [&](std::int64_t i, int worker) {
    const int chunk = static_cast<int>(i % (c_chunks * k_chunks)), share = static_cast<int>(i / (c_chunks * k_chunks));
    run_item(item(share, chunk / k_chunks, chunk % k_chunks, scratch, worker));
  });
  if (shares > 1) add_shares(scratch);
}

}  // namespace

std::size_t winograd_weight_gradient_scratch(const WinogradWeightGradient& gradient, int workers) {
  return WeightGradient(gradient).scratch(workers);
}
void winograd_weight_gradient(const WinogradWeightGradient& gradient, float* scratch) {
  WeightGradient(gradient).run(scratch);
}

}  // namespace kagami::cpu::KAGAMI_ISA
