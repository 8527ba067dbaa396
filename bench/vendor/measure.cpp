#include "bench/vendor/measure.h"

#include <algorithm>
#include <random>

namespace kagami::bench {

const char* name_of(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::bf16:
      return "bf16";
    case Arithmetic::tf32:
      return "tf32";
    case Arithmetic::fp32:
      return "fp32";
  }
  return "";
}

Cuda launcher(const Device& device, Arithmetic arithmetic) {
  Cuda cuda = device.as_cuda();
  cuda.tf32 = arithmetic == Arithmetic::tf32;
  return cuda;
}

const std::vector<float>& normal_block() {
  static const std::vector<float> block = [] {
    constexpr std::size_t length = 4194301;
    std::vector<float> values(length);
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (float& v : values) v = normal(generator);
    return values;
  }();
  return block;
}

Samples::Samples(std::size_t count, double work, const std::function<double(std::size_t)>& exact) {
  constexpr double affordable = 4e6;
  const auto wanted = static_cast<std::size_t>(std::clamp(affordable / work, 8.0, 512.0));
  if (count <= wanted) {
    for (std::size_t i = 0; i < count; ++i) places_.push_back(i);
  } else {
    places_ = {0, count - 1};
    std::mt19937_64 generator(2);
    while (places_.size() < wanted) places_.push_back(generator() % count);
  }
  for (const std::size_t place : places_) exact_.push_back(exact(place));
}

double tolerance(Arithmetic arithmetic, bool stored_as_float) {
  if (arithmetic == Arithmetic::tf32) return 1.5e-3;  // both operands are rounded to 11 bits
  if (arithmetic == Arithmetic::bf16 && !stored_as_float) return 5e-3;
  return arithmetic == Arithmetic::bf16 ? 1e-3 : 2e-4;
}

Stopwatch::Stopwatch(const Device& device)
    : device_(device), before_(cuda::create_event()), after_(cuda::create_event()) {
  constexpr std::size_t larger_than_caches = std::size_t{256} << 20;
  if (!device.emulated()) flush_.emplace(device, larger_than_caches);
}
Stopwatch::~Stopwatch() {
  cuda::destroy_event(before_);
  cuda::destroy_event(after_);
}

double Stopwatch::once(const Work& work) const {
  CUstream_st* stream = launcher(device_).stream;
  if (flush_) cuda::fill_bytes(flush_->data(), 0, flush_->size(), stream);
  cuda::record(before_, stream);
  work();
  cuda::record(after_, stream);
  cuda::synchronize(after_);
  return 1e3 * cuda::elapsed(before_, after_);
}

double Stopwatch::median(const Work& work, int runs) const {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) times.push_back(once(work));
  return median_of(times);
}

double median_of(std::vector<double> values) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += std::log(v);
  return std::exp(sum / static_cast<double>(values.size()));
}

double CopySpeed::operator()(double bytes) {
  for (const auto& [size, speed] : measured_)
    if (size == bytes) return speed;
  const auto half = static_cast<std::size_t>(bytes / 2);
  const Device& device = stopwatch_.device();
  const Memory<std::uint8_t> from(device, half), to(device, half);
  from.poison();
  const double us =
      stopwatch_.median([&] { device.copy_within(to.data(), from.data(), half); }, device.emulated() ? 1 : 15);
  measured_.emplace_back(bytes, 2.0 * static_cast<double>(half) / us);
  return measured_.back().second;
}

}  // namespace kagami::bench
