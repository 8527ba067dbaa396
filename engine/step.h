#pragma once
// One training step: the numbers it reads, and the programs it runs.
#include <functional>
#include <map>

#include "engine/tensor.h"
#include "kernels/step_scalars.h"

namespace kagami {

/// The StepScalars of a device. The host writes them between steps; nothing inside a step reads a host variable.
class StepState {
 public:
  explicit StepState(Device device);
  void set(const StepScalars& scalars);
  const StepScalars* data() const;  ///< in the device's memory: for kernels
  const StepScalars& host() const { return host_; }

 private:
  StepScalars host_;
  Tensor memory_;
};

/// The programs a step can be (plain, accumulating, ...), each a closure: augment, forward, backward, optimizer, EMA,
/// metrics. Every device runs them as closures; recording them as CUDA graphs is not built yet.
class CapturedStep {
 public:
  void add(int program, std::function<void()> body);
  /// Throws InputError for a program that was not added.
  void run(int program) const;

 private:
  std::map<int, std::function<void()>> programs_;
};

}  // namespace kagami
