#pragma once
// For tests of CUDA kernels: a device, its memory, and the emulator's schedules.
#if KAGAMI_HAS_CUDA
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/runtime.h"

namespace kagami {

/// The first CUDA device, with a stream and scratch memory of its own.
Cuda test_cuda();

/// Memory of the test device. New memory holds NaN where a kernel writes nothing.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(std::size_t count) : data_(static_cast<T*>(cuda::allocate(0, count * sizeof(T)))), count_(count) {
    cuda::fill_bytes(data_, 0xff, count * sizeof(T), test_cuda().stream);
  }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
    cuda::copy(data_, values.data(), count_ * sizeof(T), test_cuda().stream);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() {
    try {
      cuda::synchronize(test_cuda().stream);
    } catch (const std::exception& error) {  // of a kernel whose result nobody read
      ADD_FAILURE() << error.what();
    }
    cuda::release(0, data_);
  }
  T* data() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> values(count_);
    cuda::copy(values.data(), data_, count_ * sizeof(T), test_cuda().stream);
    cuda::synchronize(test_cuda().stream);
    return values;
  }

 private:
  T* data_;
  std::size_t count_;
};

/// What an instruction whose rounding only hardware knows gave, under a name. On a GPU it is kept in the folder that
/// KAGAMI_GOLDEN names; the emulator's is compared with what tests/kernels/golden has of hardware, where it has some.
void compare_with_hardware(const std::string& name, const std::vector<float>& values);

/// Runs a case under every schedule of the emulator (once on a GPU): the orders in which threads run and asynchronous
/// copies land.
template <class F>
void under_every_schedule(F&& run) {
#if KAGAMI_EMULATED
  using emulator::Async, emulator::Order;
  struct Restore {
    emulator::Config before = emulator::config();
    ~Restore() { emulator::config() = before; }
  } restore;
  const struct {
    Order order;
    Async async;
    std::uint64_t seed;
    const char* name;
  } schedules[] = {{Order::forward, Async::eager, 1, "forward, eager"},
                   {Order::reverse, Async::lazy, 1, "reverse, lazy"},
                   {Order::random, Async::random, 1, "random, seed 1"},
                   {Order::random, Async::random, 2, "random, seed 2"}};
  for (const auto& schedule : schedules) {
    SCOPED_TRACE(schedule.name);
    emulator::config().order = schedule.order;
    emulator::config().async = schedule.async;
    emulator::config().seed = schedule.seed;
    run();
  }
#else
  run();
#endif
}

/// The message of the error that `run` throws; empty when it throws none.
template <class F>
std::string error_of(F&& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

inline testing::AssertionResult mentions(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << part << "\" is not in: " << message;
}

}  // namespace kagami
#endif
