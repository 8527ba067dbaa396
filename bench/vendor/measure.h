#pragma once
// What kernels_vs_vendor measures with: random values on the device, cold caches, medians of turns, exact samples.
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/device.h"
#include "kernels/cuda/gemm_table.h"
#include "kernels/cuda/runtime.h"
#include "kernels/types.h"

namespace kagami::bench {

using gemm::Arithmetic;

const char* name_of(Arithmetic arithmetic);
/// Bytes of one activation.
constexpr int element_bytes(Arithmetic arithmetic) { return arithmetic == Arithmetic::bf16 ? 2 : 4; }
/// Calls f.template operator()<T>() with the type of activations.
template <class F>
void with_element(Arithmetic arithmetic, F f) {
  if (arithmetic == Arithmetic::bf16)
    f.template operator()<bf16>();
  else
    f.template operator()<float>();
}
/// The device as kernels take it, with that arithmetic for products of floats.
Cuda launcher(const Device& device, Arithmetic arithmetic = Arithmetic::fp32);

/// Memory of the device for the length of a scope. Uninitialised.
template <class T>
class Memory {
 public:
  Memory(const Device& device, std::size_t count)
      : device_(device), scratch_(&device.memory(), count == 0 ? 1 : count), count_(count) {}
  T* data() const { return scratch_.data(); }
  std::size_t size() const { return count_; }
  /// NaN, where a kernel writes nothing.
  void poison() const { cuda::fill_bytes(data(), 0xff, count_ * sizeof(T), launcher(device_).stream); }
  T at(std::size_t i) const {
    T value{};
    device_.copy_out(&value, data() + i, sizeof(T));
    return value;
  }
  std::vector<T> host() const {
    std::vector<T> values(count_);
    device_.copy_out(values.data(), data(), count_ * sizeof(T));
    return values;
  }
  void set(const std::vector<T>& values) const { device_.copy_in(data(), values.data(), values.size() * sizeof(T)); }

 private:
  Device device_;
  Scratch<T> scratch_;
  std::size_t count_;
};

/// Standard normal values, one block of them for all.
const std::vector<float>& normal_block();

/// Normal values on the device that the host can look up without holding them: a block of them, repeated. The block's
/// length is prime, so no two rows of an image are alike.
template <class T>
class RandomValues {
 public:
  RandomValues(const Device& device, std::size_t count, float scale, std::size_t offset)
      : memory_(device, count), scale_(scale), offset_(offset) {
    const std::size_t length = std::min(count, normal_block().size());
    std::vector<T> block(length);
    for (std::size_t i = 0; i < length; ++i) block[i] = value(i);
    memory_.set(block);
    for (std::size_t filled = length; filled < count;) {
      const std::size_t next = std::min(filled, count - filled);
      device.copy_within(memory_.data() + filled, memory_.data(), next * sizeof(T));
      filled += next;
    }
  }
  T* data() const { return memory_.data(); }
  double operator[](std::size_t i) const { return static_cast<double>(static_cast<float>(value(i))); }

 private:
  T value(std::size_t i) const { return T(scale_ * normal_block()[(i + offset_) % normal_block().size()]); }
  Memory<T> memory_;
  float scale_;
  std::size_t offset_;
};

/// A result at some places, computed exactly.
class Samples {
 public:
  /// `work`: multiplications that one value takes; fewer places are looked at where it is much.
  Samples(std::size_t count, double work, const std::function<double(std::size_t)>& exact);
  /// sqrt(sum (values - exact)^2 / sum exact^2); NaN when a value is.
  template <class T>
  double error(const Memory<T>& values) const {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const double d = static_cast<float>(values.at(places_[i])) - exact_[i];
      difference += d * d, size += exact_[i] * exact_[i];
    }
    return std::sqrt(difference / size);
  }

 private:
  std::vector<std::size_t> places_;
  std::vector<double> exact_;
};
/// The largest error of products of that arithmetic, whose results are stored as floats or rounded to bf16.
double tolerance(Arithmetic arithmetic, bool stored_as_float);

using Work = std::function<void()>;

/// Times work on a device. Before each run a block larger than the cache is written, so operands come from memory, and
/// the work is queued before the device is done with that, so the launch is not part of the time.
class Stopwatch {
 public:
  explicit Stopwatch(const Device& device);
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  /// Microseconds of one run.
  double once(const Work& work) const;
  double median(const Work& work, int runs) const;
  const Device& device() const { return device_; }

 private:
  Device device_;
  std::optional<Memory<std::uint8_t>> flush_;
  CUevent_st *before_, *after_;
};
double median_of(std::vector<double> values);
double geometric_mean(const std::vector<double>& values);

/// What the device can do at most; 0: not known.
struct Ceilings {
  double tflops[3] = {};  ///< by Arithmetic
  double of(Arithmetic arithmetic) const { return tflops[static_cast<int>(arithmetic)]; }
};

/// Bytes per microsecond, read and written together, of a copy that moves `bytes` in all.
class CopySpeed {
 public:
  explicit CopySpeed(const Stopwatch& stopwatch) : stopwatch_(stopwatch) {}
  double operator()(double bytes);

 private:
  const Stopwatch& stopwatch_;
  std::vector<std::pair<double, double>> measured_;
};

}  // namespace kagami::bench
