// Batch norm: measuring a batch and applying what was measured.
#include "kernels/cuda/batch_norm.cuh"

#include <stdexcept>

namespace kagami {
namespace norm {
namespace {

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

/// Chunks made of whole strips, put together: their means and sums of squared deviations. The first strip's mean is the
/// centre, so that a large mean costs no digits.
__global__ void __launch_bounds__(threads) join_strips(Cut cut, Strips strips, double* means, double* squares) {
  const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x), piece = static_cast<int>(blockIdx.x);
  if (channel >= cut.channels) return;
  const RowRange rows = rows_of_piece(cut, piece);
  const std::int64_t first = rows.first / strips.rows * cut.channels + channel;
  const double centre = strips.means[first];
  double sum = 0, square = 0;
  std::int64_t left = rows.count;
#pragma unroll 4
  for (std::int64_t at = first; left > 0; at += cut.channels, left -= strips.rows) {
    const double count = static_cast<double>(left < strips.rows ? left : strips.rows), d = strips.means[at] - centre;
    sum += count * d;
    square += strips.squares[at] + count * d * d;
  }
  const double count = static_cast<double>(rows.count), m2 = square - sum * sum / count;
  const std::int64_t place = piece * std::int64_t{cut.channels} + channel;
  means[place] = centre + sum / count;
  squares[place] = m2 < 0 ? 0 : m2;
}

template <class T>
__global__ void __launch_bounds__(finish_channels* finish_slices)
    finish_measure(Cut cut, const double* means, const double* squares, BatchNormMeasure<T> measure) {
  const BatchNormParameters<T>& parameters = measure.parameters;
  const int channel = static_cast<int>(blockIdx.x * finish_channels + threadIdx.x);
  const bool inside = channel < cut.channels, writes = inside && threadIdx.y == 0;
  const bool follows = writes && parameters.running_mean;
  const double rows = static_cast<double>(cut.group_rows);
  BatchNormFollower running_mean(follows ? parameters.running_mean[channel] : 0, measure.momentum, measure.update);
  BatchNormFollower running_var(follows ? parameters.running_var[channel] : 0, measure.momentum, measure.update);
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
    batch_norm_save(parameters, channel, mean, var, measure.eps, measure.saved,
                    std::int64_t{group} * cut.channels + channel);
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

/// One packet of the output. y may be x or the residual.
template <class T, int N>
__global__ void __launch_bounds__(threads)
    apply_rows(Cut cut, const T* x, BatchNormSaved<T> saved, const T* residual, bool relu, T* y, std::uint8_t* mask) {
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
      const std::int64_t at = offset + (row + k * step) * cut.channels;
      unsigned bits = 0;
#pragma unroll
      for (int i = 0; i < N; ++i) {
        float value = normalized(values[k].v[i], scale[i], shift[i]);
        if (residual) value += added[k].v[i];
        values[k].v[i] = relu && 0 > value ? 0 : value;  // keeps NaN
        bits |= value > 0 ? 1U << i : 0U;
      }
      values[k].store(y + at);
      if (mask) mask[at / N] = static_cast<std::uint8_t>(bits);
    }
  }
}

template <class T>
void finish(Cuda device, const BatchNormMeasure<T>& measure, const Cut& cut, const double* means,
            const double* squares) {
  launch<finish_measure<T>>(device, dim3{blocks_for(cut.channels, finish_channels)}, finish_block, 0, cut, means,
                            squares, measure);
}

/// Memory for mean and sum of squared deviations of every piece and channel.
struct PieceMoments {
  std::size_t size;
  Scratch<double> memory;
  PieceMoments(const Cuda& device, const Cut& cut)
      : size(std::size_t(cut.chunks) * cut.groups * cut.channels), memory(device.memory, 2 * size) {}
  double* means() const { return memory.data(); }
  double* squares() const { return memory.data() + size; }
};

}  // namespace

template <class T>
void measure_from_strips(Cuda device, const BatchNormMeasure<T>& measure, const Strips& strips) {
  const Cut cut = cut_of(measure.shape, strips);
  const PieceMoments moments(device, cut);
  const std::uint32_t lanes = std::min<std::uint32_t>(threads, blocks_for(cut.channels, 32) * 32);
  launch<join_strips>(device,
                      dim3{static_cast<std::uint32_t>(cut.chunks * cut.groups), blocks_for(cut.channels, lanes)},
                      dim3{lanes}, 0, cut, strips, moments.means(), moments.squares());
  finish(device, measure, cut, moments.means(), moments.squares());
}

}  // namespace norm

template <class T>
void batch_norm_measure(Cuda device, const BatchNormMeasure<T>& measure, const T* x) {
  using namespace norm;
  with_packets<T>(
      measure.shape.channels,
      [&]<int N>() {
        const Tiling tiling(measure.shape.channels, N);
        const Cut cut = cut_of(measure.shape, tiling);
        const PieceMoments moments(device, cut);
        launch<measure_pieces<T, N>>(device, piece_grid(cut, tiling), tiling.block(), 0, cut, x, moments.means(),
                                     moments.squares());
        finish(device, measure, cut, moments.means(), moments.squares());
      },
      x);
}

template <class T>
void batch_norm_from_running(Cuda device, int channels, const BatchNormParameters<T>& parameters, double eps,
                             const BatchNormSaved<T>& saved) {
  launch<norm::save_running<T>>(device, dim3{norm::blocks_for(channels, norm::threads)}, dim3{norm::threads}, 0,
                                channels, parameters, eps, saved);
}

template <class T>
void batch_norm_apply(Cuda device, const BatchNormShape& shape, const T* x, const BatchNormSaved<T>& saved,
                      const T* residual, bool relu, T* y, std::uint8_t* mask) {
  using namespace norm;
  with_packets<T>(
      shape.channels,
      [&]<int N>() {
        const Tiling tiling(shape.channels, N);
        const Cut cut = cut_of(shape, tiling);
        if (mask && N != cuda::widest_pack<T>)
          throw std::logic_error("batch_norm_apply: a mask needs arrays that begin on 16 bytes");
        launch<apply_rows<T, N>>(device, row_grid(device, cut, tiling), tiling.block(), 0, cut, x, saved, residual,
                                 relu, y, mask);
      },
      x, residual, y);
}

template void norm::measure_from_strips(Cuda, const BatchNormMeasure<float>&, const norm::Strips&);
template void norm::measure_from_strips(Cuda, const BatchNormMeasure<bf16>&, const norm::Strips&);
template void batch_norm_measure(Cuda, const BatchNormMeasure<float>&, const float*);
template void batch_norm_measure(Cuda, const BatchNormMeasure<bf16>&, const bf16*);
template void batch_norm_from_running(Cuda, int, const BatchNormParameters<float>&, double,
                                      const BatchNormSaved<float>&);
template void batch_norm_from_running(Cuda, int, const BatchNormParameters<bf16>&, double, const BatchNormSaved<bf16>&);
template void batch_norm_apply(Cuda, const BatchNormShape&, const float*, const BatchNormSaved<float>&, const float*,
                               bool, float*, std::uint8_t*);
template void batch_norm_apply(Cuda, const BatchNormShape&, const bf16*, const BatchNormSaved<bf16>&, const bf16*, bool,
                               bf16*, std::uint8_t*);

}  // namespace kagami
