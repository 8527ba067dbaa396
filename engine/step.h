#pragma once
// One training step: the numbers it reads, and the programs it runs.
#include <functional>
#include <map>
#include <memory>

#include "engine/tensor.h"
#include "engine/transfer.h"
#include "kernels/step_scalars.h"

namespace kagami {

/// The StepScalars of a device. The host writes them between steps; nothing inside a step reads a host variable.
class StepState {
 public:
  explicit StepState(Device device);
  /// Queued behind the work before; nobody waits.
  void set(const StepScalars& scalars);
  const StepScalars* data() const;  ///< in the device's memory: for kernels
  const StepScalars& host() const { return host_; }

 private:
  StepScalars host_;
  Tensor memory_;
  UploadRing upload_;
};

/// The programs a step can be (plain, accumulating, ...), each a closure: augment, forward, backward, optimizer, EMA,
/// metrics. On the CPU a program is its closure. On CUDA it is that for its first two runs; in the third it is recorded
/// as a graph, and from then on a run is one launch, which computes the same bits. The closure must queue the same work
/// each time: what changes from step to step it reads from device memory (StepState, a feed), and it neither reads nor
/// writes host memory. Tensors that it leaves behind are written anew by every run.
class CapturedStep {
 public:
  /// With `record` false a CUDA device too only runs closures.
  explicit CapturedStep(Device device, bool record = true);
  ~CapturedStep();

  void add(int program, std::function<void()> body);
  /// Throws InputError for a program that was not added, std::runtime_error for one that cannot be recorded.
  void run(int program);
  /// Runs other work in the memory of a program: a trial of its most expensive part, say. Only before it is recorded.
  void rehearse(int program, const std::function<void()>& work);
  /// How many kernels a launch of the program runs; 0 before it is recorded.
  int kernels(int program) const;

 private:
  struct Program;
  Program& find(int program) const;
  void record(int number, Program& program);
  Device device_;
  bool record_;
  std::map<int, std::unique_ptr<Program>> programs_;
};

}  // namespace kagami
