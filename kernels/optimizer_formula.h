#pragma once
// The updates of single parameters and the numbers they need, for every back end. Numbers that are the same for a whole
// range are worked out in double, once.
#include <cmath>
#include <cstdint>

#include "kernels/optimizer.h"
#include "kernels/types.h"

namespace kagami {

template <class T>
struct SgdRates {
  T momentum, lr, decay;
  bool nesterov;
};
template <class T>
KAGAMI_HD SgdRates<T> sgd_rates(const StepScalars& scalars, const SgdSettings& settings, const UpdateRange& range) {
  return {static_cast<T>(scalars.momentum), static_cast<T>(scalars.lr[range.group]),
          range.decay ? static_cast<T>(settings.weight_decay) : T(0), settings.nesterov};
}
template <class T>
KAGAMI_HD void sgd_step(const SgdRates<T>& rates, T& p, T g, T& v) {
  const T slope = g + rates.decay * p;
  v = rates.momentum * v + slope;
  p -= rates.lr * (rates.nesterov ? slope + rates.momentum * v : v);
}

/// What LARS makes of one parameter: how much its gradient and its decay count.
struct LarsFactors {
  double ratio = 1, decay = 0;
};
/// g_norm is |g + decay p| for joint norms, else |g|.
KAGAMI_HD inline LarsFactors lars_factors(const LarsSettings& settings, const UpdateRange& range, double lr,
                                          double p_norm, double g_norm) {
  const double decay = range.decay ? settings.weight_decay : 0;
  if (p_norm == 0 || g_norm == 0) return {1, settings.joint_norm ? decay : 0};
  double ratio = settings.trust * p_norm / (settings.joint_norm ? g_norm : g_norm + decay * p_norm + 1e-8);
  if (settings.clip) ratio = 1 < ratio / lr ? 1 : ratio / lr;
  return {ratio, decay};
}

template <class T>
struct LarsRates {
  T momentum, decay, into_v, into_p;
};
template <class T>
KAGAMI_HD LarsRates<T> lars_rates(const StepScalars& scalars, const LarsSettings& settings, double lr,
                                  const LarsFactors& factors) {
  return {static_cast<T>(scalars.momentum), static_cast<T>(factors.decay),
          static_cast<T>(settings.lr_in_momentum ? lr * factors.ratio : factors.ratio),
          static_cast<T>(settings.lr_in_momentum ? 1 : lr)};
}
template <class T>
KAGAMI_HD void lars_step(const LarsRates<T>& rates, T& p, T g, T& v) {
  v = rates.momentum * v + rates.into_v * (g + rates.decay * p);
  p -= rates.into_p * v;
}

/// Bias correction: 1 - beta1^updates, and the root of 1 - beta2^updates.
struct AdamWCorrections {
  double first, root_second;
};
KAGAMI_HD inline AdamWCorrections adamw_corrections(const StepScalars& scalars, const AdamWSettings& settings) {
  const double updates = static_cast<double>(scalars.step) + 1;
  return {1 - std::pow(scalars.momentum, updates), std::sqrt(1 - std::pow(settings.beta2, updates))};
}

template <class T>
struct AdamWRates {
  T beta1, beta2, fresh1, fresh2, root2, epsilon, keep, step;
};
template <class T>
KAGAMI_HD AdamWRates<T> adamw_rates(const StepScalars& scalars, const AdamWSettings& settings,
                                    const AdamWCorrections& corrections, const UpdateRange& range) {
  const double lr = scalars.lr[range.group];
  return {static_cast<T>(scalars.momentum),
          static_cast<T>(settings.beta2),
          static_cast<T>(1 - scalars.momentum),
          static_cast<T>(1 - settings.beta2),
          static_cast<T>(corrections.root_second),
          static_cast<T>(settings.epsilon),
          static_cast<T>(range.decay ? 1 - lr * settings.weight_decay : 1),
          static_cast<T>(lr / corrections.first)};
}
template <class T>
KAGAMI_HD void adamw_step(const AdamWRates<T>& rates, T& p, T g, T& m, T& v) {
  m = rates.beta1 * m + rates.fresh1 * g;
  v = rates.beta2 * v + rates.fresh2 * g * g;
  p = rates.keep * p - rates.step * m / (std::sqrt(v) / rates.root2 + rates.epsilon);
}

template <class T>
struct EmaRates {
  T kept, taken;
};
template <class T>
KAGAMI_HD EmaRates<T> ema_rates(const StepScalars& scalars) {
  return {static_cast<T>(scalars.ema_tau), static_cast<T>(1 - scalars.ema_tau)};
}
template <class T>
KAGAMI_HD T ema_step(const EmaRates<T>& rates, T target, T source) {
  return rates.kept * target + rates.taken * source;
}

}  // namespace kagami
