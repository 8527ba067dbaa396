// Rows of batch norm in training: statistics and normalisation (with ReLU, with a residual), and the gradient.
#include "bench/vendor/cases.h"

namespace kagami::bench {
namespace {

constexpr double eps = 1e-5, momentum = 0.1;
/// Arrays [channels] that ours and the vendor's have in common.
constexpr int channel_arrays = 11;

template <class T>
class Norm {
 public:
  Norm(const Device& device, const Conv2dShape& image, NormWork work)
      : work_(work),
        shape_{std::int64_t{image.n} * image.h * image.w, image.c},
        count_(static_cast<std::size_t>(shape_.rows) * image.c),
        x_(device, count_, 2, 0),
        added_(device, work == NormWork::forward_add_relu ? count_ : 0, 1, 1000),
        dy_(device, work == NormWork::backward ? count_ : 0, 1, 2000),
        y_(device, count_),
        channel_(device, static_cast<std::size_t>(channel_arrays) * image.c) {
    std::vector<float> values(channel_.size(), 0.0F);
    for (int c = 0; c < image.c; ++c) {
      values[at(2, c)] = gamma(c), values[at(3, c)] = beta(c);
      values[at(5, c)] = values[at(7, c)] = 1;
    }
    channel_.set(values);
  }

  void run(const Cuda& device) const {
    if (work_ == NormWork::backward) {
      BatchNormBackward<T> gradient{dy_.data(), x_.data(), nullptr, false, true, {y_.data()}, {}, {part(6)}, {part(7)}};
      return batch_norm_backward<T>(device, shape_, part(2), saved(), gradient);
    }
    measure(device);
    batch_norm_apply<T>(device, shape_, x_.data(), saved(),
                        work_ == NormWork::forward_add_relu ? added_.data() : nullptr, work_ != NormWork::forward,
                        y_.data());
  }
  /// Statistics alone: what a gradient needs from the forward pass.
  void measure(const Cuda& device) const {
    batch_norm_measure<T>(
        device, {shape_, {part(2), part(3), part(4), part(5)}, eps, momentum, RunningUpdate::in_order, saved()},
        x_.data());
  }
  NormOperands pointers() const {
    return {x_.data(), y_.data(), dy_.data(), y_.data(), added_.data(), channel_.data()};
  }
  const Memory<T>& result() const { return y_; }

  /// Statistics read x once more; the gradient reads x and dy twice.
  double bytes() const {
    const int passes = work_ == NormWork::backward ? 5 : work_ == NormWork::forward_add_relu ? 4 : 3;
    return passes * static_cast<double>(count_) * sizeof(T);
  }

  /// Values of a few channels, exactly.
  double error() const {
    double difference = 0, size = 0;
    for (const int c : {0, shape_.channels / 2, shape_.channels - 1}) {
      const Channel channel = measured(c);
      for (std::int64_t i = 0; i < 16; ++i) {
        const std::size_t place = static_cast<std::size_t>(i * (shape_.rows - 1) / 15) * shape_.channels + c;
        const double exact = value(channel, c, place);
        const double d = static_cast<float>(y_.at(place)) - exact;
        difference += d * d, size += exact * exact;
      }
    }
    return std::sqrt(difference / size);
  }

 private:
  struct Channel {
    double mean = 0, inverse_std = 0, sum_g = 0, sum_gx = 0;
  };
  Channel measured(int c) const {
    const auto rows = static_cast<double>(shape_.rows);
    double sum = 0, squares = 0;
    Channel channel;
    for (std::int64_t r = 0; r < shape_.rows; ++r) {
      const std::size_t place = static_cast<std::size_t>(r) * shape_.channels + c;
      const double x = x_[place];
      sum += x, squares += x * x;
      if (work_ == NormWork::backward) channel.sum_g += dy_[place], channel.sum_gx += dy_[place] * x;
    }
    channel.mean = sum / rows;
    channel.inverse_std = 1 / std::sqrt(squares / rows - channel.mean * channel.mean + eps);
    channel.sum_gx -= channel.mean * channel.sum_g;
    return channel;
  }
  double value(const Channel& channel, int c, std::size_t place) const {
    const double normal = (x_[place] - channel.mean) * channel.inverse_std, rows = static_cast<double>(shape_.rows);
    if (work_ == NormWork::backward)
      return gamma(c) * channel.inverse_std *
             (dy_[place] - channel.sum_g / rows - normal * channel.inverse_std * channel.sum_gx / rows);
    const double y = gamma(c) * normal + beta(c) + (work_ == NormWork::forward_add_relu ? added_[place] : 0);
    return work_ != NormWork::forward && y < 0 ? 0 : y;
  }

  static float gamma(int c) { return 1 + 0.25F * static_cast<float>(c % 5 - 2); }
  static float beta(int c) { return 0.125F * static_cast<float>(c % 3 - 1); }
  std::size_t at(int array, int c) const { return static_cast<std::size_t>(array) * shape_.channels + c; }
  float* part(int array) const { return channel_.data() + at(array, 0); }
  /// Where cuDNN's arrays are: 0 mean, 1 inverse std, 2 gamma, 3 beta, 4 to 7 running statistics, old and new.
  BatchNormSaved<T> saved() const { return {part(0), part(8), part(1), part(9), part(10)}; }

  NormWork work_;
  BatchNormShape shape_;
  std::size_t count_;
  RandomValues<T> x_, added_, dy_;
  Memory<T> y_;
  Memory<float> channel_;
};

const char* name_of(NormWork work) {
  switch (work) {
    case NormWork::forward:
      return "forward";
    case NormWork::forward_relu:
      return "forward_relu";
    case NormWork::forward_add_relu:
      return "forward_add_relu";
    case NormWork::backward:
      return "backward";
  }
  return "";
}

template <class T>
void run_row(benchmark::State& state, Context& context, const Conv2dShape& image, NormWork work,
             const std::string& group, Arithmetic arithmetic) {
  const Norm<T> norm(context.device, image, work);
  const double allowed = arithmetic == Arithmetic::bf16 ? 5e-3 : 1e-5;
  const Cuda device = launcher(context.device);
  const Work ours = [&] { norm.run(device); };
  norm.measure(device);
  norm.result().poison();
  ours();
  if (!passes(state, "our", norm.error(), allowed)) return;
  Fastest vendor;
  if (context.cudnn) {
    vendor = fastest(context.stopwatch, context.cudnn->batch_norm(image, work, arithmetic, norm.pointers()));
    if (vendor.of_all) {
      norm.result().poison();
      vendor.of_all->run();
      if (!passes(state, "cuDNN's", norm.error(), 4 * allowed)) return;
    }
  }
  const double bound = bound_us(context, arithmetic, 0, norm.bytes());
  const Measured measured = report(state, context, group, ours, vendor, bound);
  state.counters["GB/s"] = norm.bytes() / measured.ours_us * 1e-3;
}

}  // namespace

void add_batch_norm(Context& context, const NamedConv& image, Arithmetic arithmetic) {
  for (const NormWork work :
       {NormWork::forward, NormWork::forward_relu, NormWork::forward_add_relu, NormWork::backward}) {
    const Conv2dShape& s = image.shape;
    const std::string group = "batch_norm/" + std::string(bench::name_of(arithmetic)) + "/" + name_of(work);
    const std::string name = group + "/" + image.name + "/" + std::to_string(s.n) + "x" + std::to_string(s.h) + "x" +
                             std::to_string(s.w) + "x" + std::to_string(s.c);
    add_row(context, name, [=, &context](benchmark::State& state) {
      with_element(arithmetic, [&]<class T>() { run_row<T>(state, context, s, work, group, arithmetic); });
    });
  }
}

}  // namespace kagami::bench
