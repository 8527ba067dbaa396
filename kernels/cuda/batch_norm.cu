// Batch norm. Every kernel goes over [rows, channels] in the same way: a block takes a tile of channels, packets of
// them side by side (threadIdx.x), and as many rows at once as fill 256 threads (threadIdx.y), so that what belongs to
// a channel stays in registers. For sums the rows of a group are cut into chunks by the shape alone: a block sums one
// chunk, and a finishing kernel puts the chunks together in their order.
#include "kernels/batch_norm.h"

#include <algorithm>

#include "kernels/cuda/pack.cuh"

namespace kagami {
namespace {

using cuda::WidePack;

constexpr int threads = 256, widest_tile = 32;
constexpr int finish_channels = 8, finish_slices = 32;

/// One group's rows, in `chunks` pieces of `chunk_rows` (the last may be shorter).
struct Cut {
  std::int64_t group_rows, chunk_rows;
  int channels, groups, chunks;
};
struct RowRange {
  std::int64_t first, count;
};
__device__ std::int64_t rows_of_chunk(const Cut& cut, int chunk) {
  const std::int64_t left = cut.group_rows - chunk * cut.chunk_rows;
  return left < cut.chunk_rows ? left : cut.chunk_rows;
}
/// The rows of a piece: pieces are numbered over the chunks of all groups.
__device__ RowRange rows_of_piece(const Cut& cut, int piece) {
  const int group = piece / cut.chunks, chunk = piece % cut.chunks;
  return {group * cut.group_rows + chunk * cut.chunk_rows, rows_of_chunk(cut, chunk)};
}

/// Blocks for a shape.
struct Tiling {
  int lanes, rows, tiles;
  Tiling(int channels, int packet) {
    const int packets = (channels + packet - 1) / packet;
    lanes = 1;
    while (lanes < packets && lanes < widest_tile) lanes *= 2;
    rows = threads / lanes;
    tiles = (packets + lanes - 1) / lanes;
  }
  dim3 block() const { return {static_cast<std::uint32_t>(lanes), static_cast<std::uint32_t>(rows)}; }
};

/// About 512 blocks over all (four on each multiprocessor of the largest GPUs), but at least four rows a thread.
Cut cut_of(const BatchNormShape& shape, const Tiling& tiling) {
  constexpr std::int64_t blocks = 512, rows_a_thread = 4;
  const std::int64_t group_rows = shape.group_rows();
  const std::int64_t most = std::max<std::int64_t>(1, blocks / (std::int64_t{tiling.tiles} * shape.groups));
  const std::int64_t rows = std::max((group_rows + most - 1) / most, rows_a_thread * tiling.rows);
  return {group_rows, rows, shape.channels, shape.groups, static_cast<int>((group_rows + rows - 1) / rows)};
}

/// The first channel of this thread's packet.
template <int N>
__device__ int first_channel() {
  return static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * N;
}

/// What belongs to the channels of a packet; nothing where the thread has no channels.
template <int N, class T>
__device__ void load_channels(T (&to)[N], const T* from, bool inside) {
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = inside ? from[i] : T(0);
}

/// The sums of a block's tile of channels.
template <int N>
struct ColumnSums {
  float values[N][threads];

  __device__ static int thread() { return static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); }
  /// Whether this thread gets a channel's sum from add(), and which channel of the tile that is.
  __device__ static bool has_sum() { return thread() < static_cast<int>(blockDim.x) * N; }
  __device__ static int channel() {
    const int lanes = static_cast<int>(blockDim.x);
    return thread() % lanes * N + thread() / lanes;
  }
  __device__ static int tile() { return static_cast<int>(blockIdx.y * blockDim.x) * N; }

  /// The sum of v over the rows of the block, in their order. Every thread calls it.
  __device__ double add(const float (&v)[N]) {
    const int lanes = static_cast<int>(blockDim.x);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; ++i) values[i][thread()] = v[i];
    __syncthreads();
    double sum = 0;
    if (has_sum()) {
      const float* column = values[thread() / lanes] + thread() % lanes;
      for (int row = 0; row < static_cast<int>(blockDim.y); ++row) sum += column[row * lanes];
    }
    return sum;
  }
};

/// Mean and sum of squared deviations of every piece and channel. Sums are of x less a centre, the mean of the piece's
/// first rows, so that a large mean costs no digits.
template <class T, int N>
__global__ void __launch_bounds__(threads) measure_pieces(Cut cut, const T* x, double* means, double* squares) {
  KAGAMI_SHARED(sums, ColumnSums<N>);
  KAGAMI_SHARED(centres, float[N * widest_tile]);
  const int channel = first_channel<N>();
  const bool inside = channel < cut.channels;
  const RowRange rows = rows_of_piece(cut, static_cast<int>(blockIdx.x));
  const std::int64_t step = blockDim.y, sampled = rows.count < step ? rows.count : step;
  x += rows.first * cut.channels + channel;

  float sum[N] = {}, square[N] = {};
  if (inside && threadIdx.y < rows.count) {
    const auto first = WidePack<T, N>::load(x + threadIdx.y * std::int64_t{cut.channels});
    for (int i = 0; i < N; ++i) sum[i] = first.v[i];
  }
  const double sample = sums.add(sum) / static_cast<double>(sampled);
  if (sums.has_sum()) centres[sums.channel()] = static_cast<float>(sample);
  __syncthreads();
  float centre[N];
  for (int i = 0; i < N; ++i) {
    centre[i] = centres[threadIdx.x * N + i];
    sum[i] = 0;
  }
  if (inside) {
#pragma unroll 4
    for (std::int64_t row = threadIdx.y; row < rows.count; row += step) {
      const auto now = WidePack<T, N>::load(x + row * cut.channels);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const float d = now.v[i] - centre[i];
        sum[i] += d;
        square[i] += d * d;
      }
    }
  }
  const double total = sums.add(sum), total_square = sums.add(square);
  const int at = sums.tile() + sums.channel();
  if (!sums.has_sum() || at >= cut.channels) return;
  const double count = static_cast<double>(rows.count), m2 = total_square - total * total / count;
  const std::int64_t place = blockIdx.x * std::int64_t{cut.channels} + at;
  means[place] = centres[sums.channel()] + total / count;
  squares[place] = m2 < 0 ? 0 : m2;
}

/// The sum of value(chunk) over a group's chunks for each of finish_channels channels: slices of chunks in parallel,
/// then a tree. Every thread of the block calls it and gets its channel's sum.
template <class F>
__device__ double sum_of_chunks(int chunks, bool inside, F value) {
  KAGAMI_SHARED(slices, double[finish_slices][finish_channels]);
  const int slice = static_cast<int>(threadIdx.y), channel = static_cast<int>(threadIdx.x);
  const int share = (chunks + finish_slices - 1) / finish_slices;
  const int first = slice * share, last = first + share < chunks ? first + share : chunks;
  double sum = 0;
  if (inside) {
#pragma unroll 4
    for (int chunk = first; chunk < last; ++chunk) sum += value(chunk);
  }
  __syncthreads();
  slices[slice][channel] = sum;
  for (int step = finish_slices / 2; step > 0; step /= 2) {
    __syncthreads();
    if (slice < step) slices[slice][channel] += slices[slice + step][channel];
  }
  __syncthreads();
  return slices[0][channel];
}

struct RunningOptions {
  double eps, momentum;
  RunningUpdate update;
};

template <class T>
__global__ void __launch_bounds__(finish_channels* finish_slices)
    finish_measure(Cut cut, const double* means, const double* squares, BatchNormParameters<T> parameters,
                   RunningOptions options, BatchNormSaved<T> saved) {
  const int channel = static_cast<int>(blockIdx.x * finish_channels + threadIdx.x);
  const bool inside = channel < cut.channels, writes = inside && threadIdx.y == 0;
  const bool follows = writes && parameters.running_mean;
  const double rows = static_cast<double>(cut.group_rows);
  BatchNormFollower running_mean(follows ? parameters.running_mean[channel] : 0, options.momentum, options.update);
  BatchNormFollower running_var(follows ? parameters.running_var[channel] : 0, options.momentum, options.update);
  for (int group = 0; group < cut.groups; ++group) {
    const std::int64_t first = std::int64_t{group} * cut.chunks * cut.channels + channel;
    const auto place = [&](int chunk) { return first + std::int64_t{chunk} * cut.channels; };
    const auto weight = [&](int chunk) { return static_cast<double>(rows_of_chunk(cut, chunk)); };
    const double mean =
        sum_of_chunks(cut.chunks, inside, [&](int chunk) { return weight(chunk) * means[place(chunk)]; }) / rows;
    const double var = sum_of_chunks(cut.chunks, inside,
                                     [&](int chunk) {
                                       const double d = means[place(chunk)] - mean;
                                       return squares[place(chunk)] + weight(chunk) * d * d;
                                     }) /
                       rows;
    if (!writes) continue;
    batch_norm_save(parameters, channel, mean, var, options.eps, saved, std::int64_t{group} * cut.channels + channel);
    running_mean.add(mean);
    running_var.add(batch_norm_unbiased(var, cut.group_rows));
  }
  if (!follows) return;
  parameters.running_mean[channel] = static_cast<Wide<T>>(running_mean.value());
  parameters.running_var[channel] = static_cast<Wide<T>>(running_var.value());
}

template <class T>
__global__ void __launch_bounds__(threads)
    save_running(int channels, BatchNormParameters<T> parameters, double eps, BatchNormSaved<T> saved) {
  const int channel = static_cast<int>(blockIdx.x * threads + threadIdx.x);
  if (channel < channels)
    batch_norm_save(parameters, channel, parameters.running_mean[channel], parameters.running_var[channel], eps, saved,
                    channel);
}

// The same code in the forward pass and in both backward passes, so that all agree on where ReLU cut.
__device__ __forceinline__ float normalized(float x, float scale, float shift) { return x * scale + shift; }

/// One packet of the output. y may be x or the residual.
template <class T, int N>
__global__ void __launch_bounds__(threads)
    apply_rows(Cut cut, const T* x, BatchNormSaved<T> saved, const T* residual, bool relu, T* y) {
  constexpr int together = 2;
  const int channel = first_channel<N>();
  if (channel >= cut.channels) return;
  const std::int64_t group = blockIdx.z, offset = group * cut.group_rows * cut.channels + channel;
  float scale[N], shift[N];
  load_channels(scale, saved.scale + group * cut.channels + channel, true);
  load_channels(shift, saved.shift + group * cut.channels + channel, true);
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t row = blockIdx.x * blockDim.y + threadIdx.y; row < cut.group_rows; row += together * step) {
    WidePack<T, N> values[together], added[together];
#pragma unroll
    for (int k = 0; k < together; ++k) {
      if (row + k * step >= cut.group_rows) continue;
      const std::int64_t at = offset + (row + k * step) * cut.channels;
      values[k] = WidePack<T, N>::load(x + at);
      if (residual) added[k] = WidePack<T, N>::load(residual + at);
    }
#pragma unroll
    for (int k = 0; k < together; ++k) {
      if (row + k * step >= cut.group_rows) continue;
#pragma unroll
      for (int i = 0; i < N; ++i) {
        float value = normalized(values[k].v[i], scale[i], shift[i]);
        if (residual) value += added[k].v[i];
        values[k].v[i] = relu && 0 > value ? 0 : value;  // keeps NaN
      }
      values[k].store(y + offset + (row + k * step) * cut.channels);
    }
  }
}

/// dy where ReLU let the value through, else 0.
enum class ReluMask { none, from_output, from_input };

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
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float value = mask == ReluMask::from_output ? y.v[i] : normalized(in.x.v[i], scale[i], shift[i]);
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

/// Calls f<N>() with packets where all the arrays have them, else with single values.
template <class T, class F, class... Pointers>
void with_packets(int channels, F f, const Pointers*... arrays) {
  if (cuda::holds_packs<T>(channels, arrays...)) {
    f.template operator()<cuda::widest_pack<T>>();
  } else {
    f.template operator()<1>();
  }
}

std::uint32_t blocks_for(std::int64_t count, std::int64_t each) {
  return static_cast<std::uint32_t>((count + each - 1) / each);
}

dim3 piece_grid(const Cut& cut, const Tiling& tiling) {
  return {static_cast<std::uint32_t>(cut.chunks * cut.groups), static_cast<std::uint32_t>(tiling.tiles)};
}

/// Blocks that fill the device, for kernels that only write element by element.
dim3 row_grid(const Cuda& device, const Cut& cut, const Tiling& tiling) {
  constexpr std::int64_t blocks_a_multiprocessor = 8;
  const std::int64_t most = std::max<std::int64_t>(
      1, blocks_a_multiprocessor * device.multiprocessors / (std::int64_t{tiling.tiles} * cut.groups));
  const std::int64_t wanted = (cut.group_rows + tiling.rows - 1) / tiling.rows;
  return {static_cast<std::uint32_t>(std::min(wanted, most)), static_cast<std::uint32_t>(tiling.tiles),
          static_cast<std::uint32_t>(cut.groups)};
}

constexpr dim3 finish_block{finish_channels, finish_slices};

}  // namespace

template <class T>
void batch_norm_measure(Cuda device, const BatchNormShape& shape, const T* x, const BatchNormParameters<T>& parameters,
                        double eps, double momentum, RunningUpdate update, const BatchNormSaved<T>& saved) {
  with_packets<T>(
      shape.channels,
      [&]<int N>() {
        const Tiling tiling(shape.channels, N);
        const Cut cut = cut_of(shape, tiling);
        const std::size_t size = std::size_t(cut.chunks) * cut.groups * cut.channels;
        const Scratch<double> sums(device.memory, 2 * size);
        double *means = sums.data(), *squares = means + size;
        launch<measure_pieces<T, N>>(device, piece_grid(cut, tiling), tiling.block(), 0, cut, x, means, squares);
        launch<finish_measure<T>>(device, dim3{blocks_for(shape.channels, finish_channels)}, finish_block, 0, cut,
                                  means, squares, parameters, RunningOptions{eps, momentum, update}, saved);
      },
      x);
}

template <class T>
void batch_norm_from_running(Cuda device, int channels, const BatchNormParameters<T>& parameters, double eps,
                             const BatchNormSaved<T>& saved) {
  launch<save_running<T>>(device, dim3{blocks_for(channels, threads)}, dim3{threads}, 0, channels, parameters, eps,
                          saved);
}

template <class T>
void batch_norm_apply(Cuda device, const BatchNormShape& shape, const T* x, const BatchNormSaved<T>& saved,
                      const T* residual, bool relu, T* y) {
  with_packets<T>(
      shape.channels,
      [&]<int N>() {
        const Tiling tiling(shape.channels, N);
        const Cut cut = cut_of(shape, tiling);
        launch<apply_rows<T, N>>(device, row_grid(device, cut, tiling), tiling.block(), 0, cut, x, saved, residual,
                                 relu, y);
      },
      x, residual, y);
}

template <class T>
void batch_norm_backward(Cuda device, const BatchNormShape& shape, const Wide<T>* gamma, const BatchNormSaved<T>& saved,
                         const BatchNormBackward<T>& gradient) {
  const ReluMask mask = !gradient.relu ? ReluMask::none : gradient.y ? ReluMask::from_output : ReluMask::from_input;
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

template void batch_norm_measure(Cuda, const BatchNormShape&, const float*, const BatchNormParameters<float>&, double,
                                 double, RunningUpdate, const BatchNormSaved<float>&);
template void batch_norm_measure(Cuda, const BatchNormShape&, const bf16*, const BatchNormParameters<bf16>&, double,
                                 double, RunningUpdate, const BatchNormSaved<bf16>&);
template void batch_norm_from_running(Cuda, int, const BatchNormParameters<float>&, double,
                                      const BatchNormSaved<float>&);
template void batch_norm_from_running(Cuda, int, const BatchNormParameters<bf16>&, double, const BatchNormSaved<bf16>&);
template void batch_norm_apply(Cuda, const BatchNormShape&, const float*, const BatchNormSaved<float>&, const float*,
                               bool, float*);
template void batch_norm_apply(Cuda, const BatchNormShape&, const bf16*, const BatchNormSaved<bf16>&, const bf16*, bool,
                               bf16*);
template void batch_norm_backward(Cuda, const BatchNormShape&, const float*, const BatchNormSaved<float>&,
                                  const BatchNormBackward<float>&);
template void batch_norm_backward(Cuda, const BatchNormShape&, const float*, const BatchNormSaved<bf16>&,
                                  const BatchNormBackward<bf16>&);

}  // namespace kagami
