#pragma once
// Schedules: functions from the step to a factor of the learning rate, or to an EMA's tau.
#include <cstdint>
#include <string_view>

namespace kagami {

/// Learning rate over a run, as a factor in [0, 1] of its peak.
struct Schedule {
  enum class Kind : std::uint8_t {
    constant,
    cosine,            ///< every step: (1 + cos(pi (t - w) / (T - w))) / 2 after w steps of warm-up; SimCLR, BYOL
    cosine_per_epoch,  ///< the same with epochs in place of steps; SimSiam, MoCo
  };
  Kind kind = Kind::cosine;
  std::int64_t steps = 1;            ///< T: of the whole run
  std::int64_t steps_per_epoch = 1;  ///< of cosine_per_epoch
  double warmup_steps = 0;           ///< w: the factor grows linearly, t / w at step t, from 0

  /// Factor of step t, counted from 0.
  double at(std::int64_t t) const;
};

/// "constant", "cosine", "cosine-epoch"; throws InputError for any other name.
Schedule::Kind schedule_kind(std::string_view name);

/// BYOL's tau at step k of K: from `base` to 1 along half a cosine (Grill et al. 2020, section 3.3).
double byol_tau(double base, std::int64_t k, std::int64_t steps);

}  // namespace kagami
