#pragma once
// What every command that computes takes.
#include <cstdint>
#include <string>

#include "apps/support/options.h"
#include "engine/device.h"
#include "engine/precision.h"

namespace kagami::apps {

struct ComputeOptions {
  int threads = 0;  ///< 0: as many as processors
  std::string cpu = "auto", conv = "auto";

  void declare(Options& options);
  /// Sets them for the process, before the first kernel.
  void apply() const;
};

/// Where a command's networks run, who multiplies their matrices there, and in what numbers.
struct DeviceOption {
  std::string name = "auto", matmul = "own", precision = "auto";

  void declare(Options& options);
  /// Throws as device_named() and take_matmul() do.
  Device device() const;
  /// Throws as precision_named() does.
  Precision precision_on(const Device& device) const;
};

/// The device a name means: cpu, cuda (the first), cuda:N, or auto: the first CUDA device if there is a real one, else
/// the CPU (a build with CUDA prints a line that says why). Throws InputError where there is no such device, saying
/// why.
Device device_named(const std::string& name);

/// Sets, for the process, who multiplies matrices on the device: own, or cublas. Throws InputError where the device
/// cannot have that, saying why.
void take_matmul(const std::string& name, const Device& device);

/// The precision a name means on a device: fp32, tf32, bf16 (mixed: f32 parameters, statistics and losses), or auto:
/// bf16 on CUDA, fp32 on the CPU. Throws InputError where the device has none.
Precision precision_named(const std::string& name, const Device& device);

}  // namespace kagami::apps
