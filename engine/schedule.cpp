#include "engine/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/error.h"

namespace kagami {
namespace {

/// 1 at 0, 0 at 1, along half a cosine.
double half_cosine(double progress) { return (1 + std::cos(std::numbers::pi * std::clamp(progress, 0.0, 1.0))) / 2; }

}  // namespace

double Schedule::at(std::int64_t t) const {
  const double step = static_cast<double>(t), w = warmup_steps;
  if (step < w) return step / w;
  switch (kind) {
    case Kind::constant:
      return 1;
    case Kind::cosine:
      return half_cosine((step - w) / (static_cast<double>(steps) - w));
    case Kind::cosine_per_epoch: {
      const double length = static_cast<double>(steps_per_epoch), warm = w / length;
      const double epoch = static_cast<double>(t / steps_per_epoch);
      return half_cosine((epoch - warm) / (static_cast<double>(steps) / length - warm));
    }
  }
  return 1;
}

Schedule::Kind schedule_kind(std::string_view name) {
  if (name == "constant") return Schedule::Kind::constant;
  if (name == "cosine") return Schedule::Kind::cosine;
  check(name == "cosine-epoch", "schedule: '", name, "' is none of cosine, cosine-epoch, constant");
  return Schedule::Kind::cosine_per_epoch;
}

double byol_tau(double base, std::int64_t k, std::int64_t steps) {
  return 1 - (1 - base) * half_cosine(static_cast<double>(k) / static_cast<double>(steps));
}

}  // namespace kagami
