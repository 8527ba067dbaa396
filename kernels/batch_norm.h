#pragma once
// Batch normalisation over the rows of [rows, channels] (NHWC images: rows are pixels), as PyTorch computes it:
//   y = gamma (x - mean) / sqrt(var + eps) + beta,   var biased.
// Rows are split into `groups` equal contiguous parts with statistics of their own (one per view, say).
#include <cmath>
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

namespace kagami {

struct BatchNormShape {
  std::int64_t rows;
  int channels;
  int groups = 1;
  std::int64_t group_rows() const { return rows / groups; }
};

/// How the running statistics follow several groups: each group's update after the other (as separate batches would
/// give), or one update with the groups' average (split batch norm).
enum class RunningUpdate { in_order, mean };

// Rounding of a coefficient is an error that all rows share, and the sums over rows that follow (the next layer's
// statistics, the weights' gradients) add it up. So constants are computed from the factors as they were rounded.

/// The normalisation of one group and channel, y = scale x + shift, and what its gradient needs.
template <class T>
struct BatchNormAffine {
  T inverse_std, scale, shift;
};
template <class T>
KAGAMI_HD BatchNormAffine<T> batch_norm_affine(double mean, double var, double eps, double gamma, double beta) {
  const double inverse_std = 1 / std::sqrt(var + eps);
  const T scale = static_cast<T>(gamma * inverse_std);
  return {static_cast<T>(inverse_std), scale, static_cast<T>(beta - mean * scale)};
}

/// A running statistic after a batch that measured `value`.
KAGAMI_HD inline double batch_norm_running(double running, double value, double momentum) {
  return (1 - momentum) * running + momentum * value;
}
/// A channel's running statistic while it follows the groups of a batch, in their order.
class BatchNormFollower {
 public:
  KAGAMI_HD BatchNormFollower(double value, double momentum, RunningUpdate update)
      : value_(value), momentum_(momentum), update_(update) {}
  KAGAMI_HD void add(double measured) {
    sum_ += measured;
    groups_ += 1;
    if (update_ == RunningUpdate::in_order) value_ = batch_norm_running(value_, measured, momentum_);
  }
  KAGAMI_HD double value() const {
    return update_ == RunningUpdate::mean ? batch_norm_running(value_, sum_ / groups_, momentum_) : value_;
  }

 private:
  double value_, momentum_, sum_ = 0, groups_ = 0;
  RunningUpdate update_;
};
/// The unbiased variance, which the running variance follows.
KAGAMI_HD inline double batch_norm_unbiased(double var, std::int64_t rows) {
  return var * static_cast<double>(rows) / static_cast<double>(rows - 1);
}

/// dx = a g + b (x - mean) + c + rest, with g the gradient of y (zero where ReLU cut); `rest` is what rounding cut off
/// c.
template <class T>
struct BatchNormGradient {
  T a, b, c, rest;
};
/// A group's part of the gradient of gamma, from the same sums.
KAGAMI_HD inline double batch_norm_dgamma(double inverse_std, double mean_rest, double sum_g, double sum_gx) {
  return (sum_gx - mean_rest * sum_g) * inverse_std;
}
/// sum_g and sum_gx = sum g (x - mean) are over the group's rows; mean is the rounded one, to which `mean_rest` adds up
/// to the exact one. With running statistics mean and variance are constants: b = c = 0.
template <class T>
KAGAMI_HD BatchNormGradient<T> batch_norm_gradient(double gamma, double inverse_std, double mean_rest, double sum_g,
                                                   double sum_gx, std::int64_t rows, bool batch_statistics) {
  const T a = static_cast<T>(gamma * inverse_std);
  if (!batch_statistics) return {a, T(0), T(0), T(0)};
  const double n = static_cast<double>(rows);
  const T b = static_cast<T>(-a * inverse_std * inverse_std * (sum_gx - mean_rest * sum_g) / n);
  const double exact = -a * sum_g / n - b * mean_rest;
  const T c = static_cast<T>(exact);
  return {a, b, c, static_cast<T>(exact - c)};
}

// Activations are T. What belongs to a channel (statistics, parameters, their gradients) is Wide<T>: float beside bf16.

/// What the op keeps per group and channel; each array is [groups, channels].
template <class T>
struct BatchNormSaved {
  Wide<T>*mean, *mean_rest, *inverse_std, *scale, *shift;  ///< mean_rest: what rounding cut off the mean
};

/// Parameters, each [channels] or null: gamma 1, beta 0, no running statistics.
template <class T>
struct BatchNormParameters {
  const Wide<T>* gamma = nullptr;
  const Wide<T>* beta = nullptr;
  Wide<T>* running_mean = nullptr;
  Wide<T>* running_var = nullptr;
};

/// Fills entry `at` of `saved` for one group of a channel.
template <class T>
KAGAMI_HD void batch_norm_save(const BatchNormParameters<T>& parameters, std::int64_t channel, double mean, double var,
                               double eps, const BatchNormSaved<T>& saved, std::int64_t at) {
  const double gamma = parameters.gamma ? parameters.gamma[channel] : 1;
  const double beta = parameters.beta ? parameters.beta[channel] : 0;
  const BatchNormAffine<Wide<T>> affine = batch_norm_affine<Wide<T>>(mean, var, eps, gamma, beta);
  saved.mean[at] = static_cast<Wide<T>>(mean);
  saved.mean_rest[at] = static_cast<Wide<T>>(mean - saved.mean[at]);
  saved.inverse_std[at] = affine.inverse_std;
  saved.scale[at] = affine.scale;
  saved.shift[at] = affine.shift;
}

/// What measuring a batch reads and writes besides x.
template <class T>
struct BatchNormMeasure {
  BatchNormShape shape;               ///< more than one row a group
  BatchNormParameters<T> parameters;  ///< its running statistics are updated
  double eps, momentum;
  RunningUpdate update;
  BatchNormSaved<T> saved;  ///< filled
};
template <class T>
void batch_norm_measure(Cpu device, const BatchNormMeasure<T>& measure, const T* x);
/// Fills `saved` (of one group) from the running statistics instead.
template <class T>
void batch_norm_from_running(Cpu device, int channels, const BatchNormParameters<T>& parameters, double eps,
                             const BatchNormSaved<T>& saved);

/// Bytes of the mask that batch_norm_apply leaves for batch_norm_backward, so that the output need not be read (or
/// kept) to know where ReLU cut; 0 where the back end reads the output.
template <class T>
std::int64_t batch_norm_mask_bytes(Cpu, const BatchNormShape&, const T* /*residual*/) {
  return 0;
}
/// y = scale x + shift (+ residual), then ReLU where asked, in one pass. y may be x; residual [rows, channels] or null;
/// mask (or null): where y > 0, a bit each.
template <class T>
void batch_norm_apply(Cpu device, const BatchNormShape& shape, const T* x, const BatchNormSaved<T>& saved,
                      const T* residual, bool relu, T* y, std::uint8_t* mask = nullptr);

/// Memory a gradient goes to; null leaves the gradient out.
template <class T>
struct GradientMemory {
  T* data = nullptr;
  Accumulate accumulate = Accumulate::no;
  KAGAMI_HD void write(std::int64_t at, double value) const {
    if (!data) return;
    data[at] = static_cast<T>(accumulate == Accumulate::yes ? data[at] + value : value);
  }
};

/// Where the gradient of a fused batch norm comes from and goes to.
template <class T>
struct BatchNormBackward {
  const T* dy;
  const T* x;                      ///< the input that was normalised
  const T* y;                      ///< the output: where it is 0 ReLU cut. Null where there was no residual: recomputed
  bool relu;                       ///< whether the output went through ReLU
  bool batch_statistics;           ///< training: mean and variance depend on x
  GradientMemory<T> dx;            ///< [rows, channels]; may be dy or x
  GradientMemory<T> dresidual;     ///< [rows, channels], dy where ReLU did not cut; may be dy unless dx is
  GradientMemory<Wide<T>> dgamma;  ///< [channels]
  GradientMemory<Wide<T>> dbeta;   ///< [channels]
  const std::uint8_t* mask = nullptr;  ///< batch_norm_apply's, read instead of y; or null
};
/// One reduction pass over dy and x, then one pass that writes dx and the residual's gradient.
template <class T>
void batch_norm_backward(Cpu device, const BatchNormShape& shape, const Wide<T>* gamma, const BatchNormSaved<T>& saved,
                         const BatchNormBackward<T>& gradient);

#if KAGAMI_HAS_CUDA
// T: float or bf16. Sums over rows are taken in double, in an order that only the shape decides.
template <class T>
void batch_norm_measure(Cuda device, const BatchNormMeasure<T>& measure, const T* x);
template <class T>
void batch_norm_from_running(Cuda device, int channels, const BatchNormParameters<T>& parameters, double eps,
                             const BatchNormSaved<T>& saved);
/// One byte for every 16 of y; no mask where rows or the residual do not begin on 16 bytes.
template <class T>
std::int64_t batch_norm_mask_bytes(Cuda, const BatchNormShape& shape, const T* residual) {
  constexpr int values = 16 / sizeof(T);
  const bool packed = shape.channels % values == 0 && reinterpret_cast<std::uintptr_t>(residual) % 16 == 0;
  return packed ? shape.rows * shape.channels / values : 0;
}
template <class T>
void batch_norm_apply(Cuda device, const BatchNormShape& shape, const T* x, const BatchNormSaved<T>& saved,
                      const T* residual, bool relu, T* y, std::uint8_t* mask = nullptr);
template <class T>
void batch_norm_backward(Cuda device, const BatchNormShape& shape, const Wide<T>* gamma, const BatchNormSaved<T>& saved,
                         const BatchNormBackward<T>& gradient);
#endif

}  // namespace kagami
