#pragma once
// The numbers of one training step. They lie in the device's memory and kernels read them there: a recorded step can be
// run again with other values.
#include <cstdint>
#include <limits>

namespace kagami {

constexpr int max_parameter_groups = 8;

struct StepScalars {
  double lr[max_parameter_groups] = {};  ///< of each parameter group, schedule and factor applied
  double momentum = 0.9;                 ///< SGD, LARS; AdamW's beta 1
  /// What an EMA target keeps of itself; NaN: there is none.
  double ema_tau = std::numeric_limits<double>::quiet_NaN();
  double temperature = 0;
  std::uint32_t step = 0;  ///< updates made before this one; also the last word of a per-step random counter
  std::uint32_t epoch = 0;
};

}  // namespace kagami
