// Backward passes of batch norm: sums over dy and x, then dx and the residual's gradient.
#include "kernels/cuda/batch_norm.cuh"

namespace kagami {
namespace norm {
namespace {

/// dy where ReLU let the value through, else 0.
enum class ReluMask { none, from_bits, from_output, from_input };

/// The mask's bits from element `at` on, to the end of their byte.
template <class T>
__device__ __forceinline__ unsigned mask_bits(const std::uint8_t* mask, std::int64_t at) {
  constexpr int values = cuda::widest_pack<T>;
  return static_cast<unsigned>(mask[at / values]) >> at % values;
}

/// What the gradient of one packet is made of.
template <class T, int N>
struct Incoming {
  WidePack<T, N> x, g;

  __device__ __forceinline__ static Incoming load(const BatchNormBackward<T>& gradient, ReluMask mask, std::int64_t at,
                                                  const float (&scale)[N], const float (&shift)[N]) {
    Incoming in{WidePack<T, N>::load(gradient.x + at), WidePack<T, N>::load(gradient.dy + at)};
    if (mask == ReluMask::none) return in;
    WidePack<T, N> y;
    if (mask == ReluMask::from_output) y = WidePack<T, N>::load(gradient.y + at);
    const unsigned bits = mask == ReluMask::from_bits ? mask_bits<T>(gradient.mask, at) : 0;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float value = mask == ReluMask::from_bits     ? float(bits >> i & 1)
                          : mask == ReluMask::from_output ? y.v[i]
                                                          : normalized(in.x.v[i], scale[i], shift[i]);
      in.g.v[i] = value > 0 ? in.g.v[i] : 0;
    }
    return in;
  }
};

/// Sums of g and of g (x - mean) of every piece and channel.
template <class T, int N>
__global__ void __launch_bounds__(threads) reduce_pieces(Cut cut, BatchNormBackward<T> gradient, ReluMask mask,
                                                         BatchNormSaved<T> saved, double* sums_g, double* sums_gx) {
  KAGAMI_SHARED(sums, ColumnSums<N>);
  const int channel = first_channel<N>();
  const bool inside = channel < cut.channels;
  const RowRange rows = rows_of_piece(cut, static_cast<int>(blockIdx.x));
  const std::int64_t offset = rows.first * cut.channels + channel;
  const std::int64_t at = static_cast<int>(blockIdx.x) / cut.chunks * std::int64_t{cut.channels} + channel;
  float mean[N], scale[N], shift[N], sum[N] = {}, product[N] = {};
  load_channels(mean, saved.mean + at, inside);
  load_channels(scale, saved.scale + at, inside);
  load_channels(shift, saved.shift + at, inside);
  if (inside) {
#pragma unroll 2
    for (std::int64_t row = threadIdx.y; row < rows.count; row += blockDim.y) {
      const auto in = Incoming<T, N>::load(gradient, mask, offset + row * cut.channels, scale, shift);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        sum[i] += in.g.v[i];
        product[i] += in.g.v[i] * (in.x.v[i] - mean[i]);
      }
    }
  }
  const double sum_g = sums.add(sum), sum_gx = sums.add(product);
  const int to = sums.tile() + sums.channel();
  if (!sums.has_sum() || to >= cut.channels) return;
  sums_g[blockIdx.x * std::int64_t{cut.channels} + to] = sum_g;
  sums_gx[blockIdx.x * std::int64_t{cut.channels} + to] = sum_gx;
}

/// The gradients of gamma and beta, and the coefficients [4, groups, channels] of dx.
template <class T>
__global__ void __launch_bounds__(finish_channels* finish_slices)
    finish_reduce(Cut cut, const double* sums_g, const double* sums_gx, const Wide<T>* gamma, BatchNormSaved<T> saved,
                  BatchNormBackward<T> gradient, float* coefficients) {
  const int channel = static_cast<int>(blockIdx.x * finish_channels + threadIdx.x);
  const bool inside = channel < cut.channels, writes = inside && threadIdx.y == 0;
  const std::int64_t size = std::int64_t{cut.groups} * cut.channels;
  double dgamma = 0, dbeta = 0;
  for (int group = 0; group < cut.groups; ++group) {
    const std::int64_t first = std::int64_t{group} * cut.chunks * cut.channels + channel;
    const auto place = [&](int chunk) { return first + std::int64_t{chunk} * cut.channels; };
    const double sum_g = sum_of_chunks(cut.chunks, inside, [&](int chunk) { return sums_g[place(chunk)]; });
    const double sum_gx = sum_of_chunks(cut.chunks, inside, [&](int chunk) { return sums_gx[place(chunk)]; });
    if (!writes) continue;
    const std::int64_t at = std::int64_t{group} * cut.channels + channel;
    const double inverse_std = saved.inverse_std[at], mean_rest = saved.mean_rest[at];
    const BatchNormGradient<float> k = batch_norm_gradient<float>(
        gamma ? gamma[channel] : 1, inverse_std, mean_rest, sum_g, sum_gx, cut.group_rows, gradient.batch_statistics);
    coefficients[at] = k.a;
    coefficients[size + at] = k.b;
    coefficients[2 * size + at] = k.c;
    coefficients[3 * size + at] = k.rest;
    dgamma += batch_norm_dgamma(inverse_std, mean_rest, sum_g, sum_gx);
    dbeta += sum_g;
  }
  if (!writes) return;
  gradient.dgamma.write(channel, dgamma);
  gradient.dbeta.write(channel, dbeta);
}

template <class T, int N>
__device__ __forceinline__ void write(const GradientMemory<T>& memory, std::int64_t at, WidePack<T, N> value) {
  if (memory.accumulate == Accumulate::yes) {
    const auto before = WidePack<T, N>::load(memory.data + at);
#pragma unroll
    for (int i = 0; i < N; ++i) value.v[i] = before.v[i] + value.v[i];
  }
  value.store(memory.data + at);
}

/// dx and the residual's gradient, as BatchNormGradient says.
template <class T, int N>
__global__ void __launch_bounds__(threads, 2) write_gradients(Cut cut, BatchNormBackward<T> gradient, ReluMask mask,
                                                              BatchNormSaved<T> saved, const float* coefficients) {
  constexpr int together = 2;
  const int channel = first_channel<N>();
  if (channel >= cut.channels) return;
  const std::int64_t group = blockIdx.z, offset = group * cut.group_rows * cut.channels + channel;
  const std::int64_t at = group * cut.channels + channel, size = std::int64_t{cut.groups} * cut.channels;
  float mean[N], scale[N], shift[N], a[N], b[N], c[N], rest[N];
  load_channels(mean, saved.mean + at, true);
  load_channels(scale, saved.scale + at, true);
  load_channels(shift, saved.shift + at, true);
  load_channels(a, coefficients + at, true);
  load_channels(b, coefficients + size + at, true);
  load_channels(c, coefficients + 2 * size + at, true);
  load_channels(rest, coefficients + 3 * size + at, true);
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t row = blockIdx.x * blockDim.y + threadIdx.y; row < cut.group_rows; row += together * step) {
    Incoming<T, N> values[together];
#pragma unroll
    for (int k = 0; k < together; ++k)
      if (row + k * step < cut.group_rows)
        values[k] = Incoming<T, N>::load(gradient, mask, offset + (row + k * step) * cut.channels, scale, shift);
#pragma unroll
    for (int k = 0; k < together; ++k) {
      if (row + k * step >= cut.group_rows) continue;
      const std::int64_t place = offset + (row + k * step) * cut.channels;
      Incoming<T, N>& in = values[k];
      if (gradient.dresidual.data) write(gradient.dresidual, place, in.g);
      if (!gradient.dx.data) continue;
#pragma unroll
      for (int i = 0; i < N; ++i) in.g.v[i] = a[i] * in.g.v[i] + (b[i] * (in.x.v[i] - mean[i]) + rest[i] + c[i]);
      write(gradient.dx, place, in.g);
    }
  }
}

}  // namespace
}  // namespace norm

template <class T>
void batch_norm_backward(Cuda device, const BatchNormShape& shape, const Wide<T>* gamma, const BatchNormSaved<T>& saved,
                         const BatchNormBackward<T>& gradient) {
  using namespace norm;
  const ReluMask mask = !gradient.relu  ? ReluMask::none
                        : gradient.mask ? ReluMask::from_bits
                        : gradient.y    ? ReluMask::from_output
                                        : ReluMask::from_input;
  with_packets<T>(
      shape.channels,
      [&]<int N>() {
        const Tiling tiling(shape.channels, N);
        const Cut cut = cut_of(shape, tiling);
        const std::size_t size = std::size_t(cut.chunks) * cut.groups * cut.channels;
        const Scratch<double> sums(device.memory, 2 * size);
        const Scratch<float> coefficients(device.memory, std::size_t{4} * cut.groups * cut.channels);
        double *sums_g = sums.data(), *sums_gx = sums_g + size;
        launch<reduce_pieces<T, N>>(device, piece_grid(cut, tiling), tiling.block(), 0, cut, gradient, mask, saved,
                                    sums_g, sums_gx);
        launch<finish_reduce<T>>(device, dim3{blocks_for(shape.channels, finish_channels)}, finish_block, 0, cut,
                                 sums_g, sums_gx, gamma, saved, gradient, coefficients.data());
        if (gradient.dx.data || gradient.dresidual.data)
          launch<write_gradients<T, N>>(device, row_grid(device, cut, tiling), tiling.block(), 0, cut, gradient, mask,
                                        saved, coefficients.data());
      },
      gradient.dy, gradient.x, gradient.y, gradient.dx.data, gradient.dresidual.data);
}

template void batch_norm_backward(Cuda, const BatchNormShape&, const float*, const BatchNormSaved<float>&,
                                  const BatchNormBackward<float>&);
template void batch_norm_backward(Cuda, const BatchNormShape&, const float*, const BatchNormSaved<bf16>&,
                                  const BatchNormBackward<bf16>&);

}  // namespace kagami
