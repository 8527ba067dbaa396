#include "kernels/batch_norm.h"

#include <algorithm>

#include "kernels/cpu/batch_norm_kernels.h"
#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

template <class T>
const cpu::BatchNormKernels<T>& kernels();
template <>
const cpu::BatchNormKernels<float>& kernels() {
  return cpu::select(cpu::baseline::batch_norm_float, cpu::avx2::batch_norm_float, cpu::avx512::batch_norm_float);
}
template <>
const cpu::BatchNormKernels<double>& kernels() {
  return cpu::select(cpu::baseline::batch_norm_double, cpu::avx2::batch_norm_double, cpu::avx512::batch_norm_double);
}

/// Rows in pieces that fit the second-level cache, each inside one group. The cut depends on the shape alone, and so
/// does the order in which sums of pieces are put together.
class Pieces {
 public:
  explicit Pieces(const BatchNormShape& shape)
      : group_rows_(shape.group_rows()),
        rows_(std::max<std::int64_t>(8, (1 << 15) / shape.channels)),
        per_group_((group_rows_ + rows_ - 1) / rows_),
        count_(per_group_ * shape.groups) {}
  std::int64_t count() const { return count_; }
  std::int64_t per_group() const { return per_group_; }
  std::int64_t group(std::int64_t piece) const { return piece / per_group_; }
  std::int64_t first(std::int64_t piece) const { return group(piece) * group_rows_ + piece % per_group_ * rows_; }
  std::int64_t rows(std::int64_t piece) const { return std::min(rows_, group_rows_ - piece % per_group_ * rows_); }

  template <class F>
  void for_each(F f) const {
    cpu::parallel_for(count_, 1, [&](std::int64_t piece, std::int64_t) { f(piece); });
  }
  /// Last piece first: what the pass before has read last is still in the cache.
  template <class F>
  void for_each_backwards(F f) const {
    cpu::parallel_for(count_, 1, [&](std::int64_t piece, std::int64_t) { f(count_ - 1 - piece); });
  }

 private:
  std::int64_t group_rows_, rows_, per_group_, count_;
};

template <class T>
double exact(T value, T rest) {
  return static_cast<double>(value) + static_cast<double>(rest);
}

/// Two quantities per piece and channel: the first in twice the precision, as a value and the rest that it lacks.
template <class T>
class PieceSums {
 public:
  PieceSums(Cpu device, const BatchNormShape& shape, const Pieces& pieces)
      : channels_(shape.channels), size_(pieces.count() * channels_), memory_(device.memory, 3 * size_) {}
  /// [channels] of a piece: array 0 the first's value, 1 its rest, 2 the second.
  T* of(std::int64_t piece, int array) const { return memory_.data() + array * size_ + piece * channels_; }

 private:
  std::int64_t channels_, size_;
  Scratch<T> memory_;
};

/// Mean and biased variance of every group and channel, put together from pieces by Chan's formula (Chan, Golub and
/// LeVeque 1979).
template <class T>
void group_moments(const BatchNormShape& shape, const Pieces& pieces, const PieceSums<T>& sums, double* mean,
                   double* var) {
  const std::int64_t channels = shape.channels;
  std::fill_n(mean, shape.groups * channels, 0.0);
  std::fill_n(var, shape.groups * channels, 0.0);
  for (std::int64_t p = 0; p < pieces.count(); ++p) {
    const double before = static_cast<double>(p % pieces.per_group() * pieces.rows(0));
    const double more = static_cast<double>(pieces.rows(p)), share = more / (before + more);
    const T *value = sums.of(p, 0), *rest = sums.of(p, 1), *squares = sums.of(p, 2);
    double *centre = mean + pieces.group(p) * channels, *m2 = var + pieces.group(p) * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      const double delta = exact(value[c], rest[c]) - centre[c];
      centre[c] += delta * share;
      m2[c] += squares[c] + delta * delta * before * share;
    }
  }
  const double rows = static_cast<double>(shape.group_rows());
  for (std::int64_t i = 0; i < shape.groups * channels; ++i) var[i] /= rows;
}

template <class T>
void update_running(const BatchNormShape& shape, const double* mean, const double* var, double momentum,
                    RunningUpdate update, T* running_mean, T* running_var) {
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    BatchNormFollower new_mean(running_mean[c], momentum, update), new_var(running_var[c], momentum, update);
    for (std::int64_t g = 0; g < shape.groups; ++g) {
      const std::int64_t at = g * shape.channels + c;
      new_mean.add(mean[at]);
      new_var.add(batch_norm_unbiased(var[at], shape.group_rows()));
    }
    running_mean[c] = static_cast<T>(new_mean.value());
    running_var[c] = static_cast<T>(new_var.value());
  }
}

/// Sums of a group's pieces, in order: totals[0] g, totals[1] g (x - mean); each [groups, channels].
template <class T>
void group_sums(const BatchNormShape& shape, const Pieces& pieces, const PieceSums<T>& sums, double* const totals[2]) {
  const std::int64_t channels = shape.channels;
  for (int i = 0; i < 2; ++i) std::fill_n(totals[i], shape.groups * channels, 0.0);
  for (std::int64_t p = 0; p < pieces.count(); ++p) {
    const T *value = sums.of(p, 0), *rest = sums.of(p, 1), *products = sums.of(p, 2);
    double *g = totals[0] + pieces.group(p) * channels, *gx = totals[1] + pieces.group(p) * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      g[c] += exact(value[c], rest[c]);
      gx[c] += products[c];
    }
  }
}

/// Gradients of gamma and beta, and the four coefficients [groups, channels] of dx.
template <class T>
void finish_sums(const BatchNormShape& shape, const T* gamma, const BatchNormSaved<T>& saved,
                 const BatchNormBackward<T>& gradient, const double* const totals[2], T* coefficients) {
  const std::int64_t channels = shape.channels, size = shape.groups * channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    double dgamma = 0, dbeta = 0;
    for (std::int64_t at = c; at < size; at += channels) {
      const double inverse_std = saved.inverse_std[at], sum_g = totals[0][at], sum_gx = totals[1][at];
      const BatchNormGradient<T> k =
          batch_norm_gradient<T>(gamma ? gamma[c] : 1, inverse_std, saved.mean_rest[at], sum_g, sum_gx,
                                 shape.group_rows(), gradient.batch_statistics);
      coefficients[at] = k.a;
      coefficients[size + at] = k.b;
      coefficients[2 * size + at] = k.c;
      coefficients[3 * size + at] = k.rest;
      dgamma += batch_norm_dgamma(inverse_std, saved.mean_rest[at], sum_g, sum_gx);
      dbeta += sum_g;
    }
    gradient.dgamma.write(c, dgamma);
    gradient.dbeta.write(c, dbeta);
  }
}

template <class T>
cpu::BatchNormPiece<T> piece_of(const BatchNormShape& shape, const Pieces& pieces, std::int64_t piece,
                                const BatchNormSaved<T>& saved, const T* dy, const T* x, const T* y) {
  const std::int64_t at = pieces.first(piece) * shape.channels, group = pieces.group(piece) * shape.channels;
  return {pieces.rows(piece), shape.channels,     dy ? dy + at : nullptr, x + at,
          y ? y + at : y,     saved.mean + group, saved.scale + group,    saved.shift + group};
}

}  // namespace

template <class T>
void batch_norm_measure(Cpu device, const BatchNormMeasure<T>& measure, const T* x) {
  const auto& [shape, parameters, eps, momentum, update, saved] = measure;
  const Pieces pieces(shape);
  const std::size_t channels = static_cast<std::size_t>(shape.channels);
  const PieceSums<T> sums(device, shape, pieces);
  pieces.for_each([&](std::int64_t p) {
    kernels<T>().moments(x + pieces.first(p) * shape.channels, pieces.rows(p), shape.channels, sums.of(p, 0),
                         sums.of(p, 1), sums.of(p, 2));
  });
  const Scratch<double> mean(device.memory, static_cast<std::size_t>(shape.groups) * channels);
  const Scratch<double> var(device.memory, mean.size());
  group_moments(shape, pieces, sums, mean.data(), var.data());
  for (std::int64_t g = 0, at = 0; g < shape.groups; ++g)
    for (std::int64_t c = 0; c < shape.channels; ++c, ++at)
      batch_norm_save(parameters, c, mean.data()[at], var.data()[at], eps, saved, at);
  if (parameters.running_mean)
    update_running(shape, mean.data(), var.data(), momentum, update, parameters.running_mean, parameters.running_var);
}

template <class T>
void batch_norm_from_running(Cpu, int channels, const BatchNormParameters<T>& parameters, double eps,
                             const BatchNormSaved<T>& saved) {
  for (std::int64_t c = 0; c < channels; ++c)
    batch_norm_save(parameters, c, parameters.running_mean[c], parameters.running_var[c], eps, saved, c);
}

template <class T>
void batch_norm_apply(Cpu, const BatchNormShape& shape, const T* x, const BatchNormSaved<T>& saved, const T* residual,
                      bool relu, T* y, std::uint8_t*) {
  const Pieces pieces(shape);
  pieces.for_each_backwards([&](std::int64_t p) {
    const std::int64_t at = pieces.first(p) * shape.channels;
    kernels<T>().apply(piece_of<T>(shape, pieces, p, saved, nullptr, x, nullptr), residual ? residual + at : residual,
                       relu, y + at);
  });
}

template <class T>
void batch_norm_backward(Cpu device, const BatchNormShape& shape, const Wide<T>* gamma, const BatchNormSaved<T>& saved,
                         const BatchNormBackward<T>& gradient) {
  const Pieces pieces(shape);
  const cpu::ReluMask mask = !gradient.relu ? cpu::ReluMask::none
                             : gradient.y   ? cpu::ReluMask::from_output
                                            : cpu::ReluMask::from_input;
  const std::size_t channels = static_cast<std::size_t>(shape.channels);
  const PieceSums<T> sums(device, shape, pieces);
  auto piece = [&](std::int64_t p) { return piece_of(shape, pieces, p, saved, gradient.dy, gradient.x, gradient.y); };
  pieces.for_each(
      [&](std::int64_t p) { kernels<T>().reduce(piece(p), mask, sums.of(p, 0), sums.of(p, 1), sums.of(p, 2)); });
  const std::size_t size = static_cast<std::size_t>(shape.groups) * channels;
  const Scratch<T> coefficients(device.memory, 4 * size);
  const Scratch<double> memory(device.memory, 2 * size);
  double* const totals[2] = {memory.data(), memory.data() + size};
  group_sums(shape, pieces, sums, totals);
  finish_sums(shape, gamma, saved, gradient, totals, coefficients.data());
  if (!gradient.dx.data && !gradient.dresidual.data) return;
  pieces.for_each_backwards([&](std::int64_t p) {
    const std::int64_t at = pieces.first(p) * shape.channels;
    const T* k = coefficients.data() + pieces.group(p) * shape.channels;
    auto from = [&](const GradientMemory<T>& memory) {
      return GradientMemory<T>{memory.data ? memory.data + at : nullptr, memory.accumulate};
    };
    kernels<T>().gradient(piece(p), mask, {k, k + size, k + 2 * size, k + 3 * size}, from(gradient.dx),
                          from(gradient.dresidual));
  });
}

template void batch_norm_measure(Cpu, const BatchNormMeasure<float>&, const float*);
template void batch_norm_measure(Cpu, const BatchNormMeasure<double>&, const double*);
template void batch_norm_from_running(Cpu, int, const BatchNormParameters<float>&, double,
                                      const BatchNormSaved<float>&);
template void batch_norm_from_running(Cpu, int, const BatchNormParameters<double>&, double,
                                      const BatchNormSaved<double>&);
template void batch_norm_apply(Cpu, const BatchNormShape&, const float*, const BatchNormSaved<float>&, const float*,
                               bool, float*, std::uint8_t*);
template void batch_norm_apply(Cpu, const BatchNormShape&, const double*, const BatchNormSaved<double>&, const double*,
                               bool, double*, std::uint8_t*);
template void batch_norm_backward(Cpu, const BatchNormShape&, const float*, const BatchNormSaved<float>&,
                                  const BatchNormBackward<float>&);
template void batch_norm_backward(Cpu, const BatchNormShape&, const double*, const BatchNormSaved<double>&,
                                  const BatchNormBackward<double>&);

}  // namespace kagami
