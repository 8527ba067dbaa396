#include "kernels/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

constexpr std::int64_t grain = 1 << 14;

/// Calls f(range, first, last) for every range, cut into pieces that run in parallel; first, last: flat positions.
template <class F>
void for_ranges(const UpdateRange* ranges, int range_count, F&& f) {
  for (int r = 0; r < range_count; ++r) {
    const UpdateRange& range = ranges[r];
    cpu::parallel_for(range.count, grain, [&](std::int64_t first, std::int64_t last) {
      f(range, range.offset + first, range.offset + last);
    });
  }
}

/// Sum of term(i) over [0, count): pieces of fixed size, added in order.
template <class F>
double ordered_sum(Arena* memory, std::int64_t count, F&& term) {
  const Scratch<double> parts(memory, static_cast<std::size_t>((count + grain - 1) / grain));
  cpu::parallel_for(count, grain, [&](std::int64_t first, std::int64_t last) {
    double sum = 0;
    for (std::int64_t i = first; i < last; ++i) sum += term(i);
    parts[static_cast<std::size_t>(first / grain)] = sum;
  });
  double sum = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) sum += parts[i];
  return sum;
}

/// What LARS makes of one parameter: how much its gradient and its decay count.
struct LarsFactors {
  double ratio = 1, decay = 0;
};

template <class T>
LarsFactors lars_factors(Arena* memory, const UpdateRange& range, double lr, const LarsSettings& s, const T* p,
                         const T* g) {
  if (!range.scaled) return {};
  const double decay = range.decay ? s.weight_decay : 0;
  p += range.offset;
  g += range.offset;
  const auto norm = [&](auto&& value) {
    return std::sqrt(ordered_sum(memory, range.count, [&](std::int64_t i) {
      const double x = value(i);
      return x * x;
    }));
  };
  const double p_norm = norm([&](std::int64_t i) { return p[i]; });
  const double g_norm = s.joint_norm ? norm([&](std::int64_t i) { return g[i] + decay * p[i]; })
                                     : norm([&](std::int64_t i) { return g[i]; });
  if (p_norm == 0 || g_norm == 0) return {1, s.joint_norm ? decay : 0};
  double ratio = s.trust * p_norm / (s.joint_norm ? g_norm : g_norm + decay * p_norm + 1e-8);
  if (s.clip) ratio = std::min(ratio / lr, 1.0);
  return {ratio, decay};
}

}  // namespace

template <class T>
void sgd_update(Cpu, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                const SgdSettings& settings, T* p, const T* g, T* v) {
  const T momentum = static_cast<T>(scalars->momentum);
  for_ranges(ranges, range_count, [&](const UpdateRange& range, std::int64_t first, std::int64_t last) {
    const T lr = static_cast<T>(scalars->lr[range.group]);
    const T decay = range.decay ? static_cast<T>(settings.weight_decay) : T(0);
    const bool nesterov = settings.nesterov;
    for (std::int64_t i = first; i < last; ++i) {
      const T slope = g[i] + decay * p[i];
      v[i] = momentum * v[i] + slope;
      p[i] -= lr * (nesterov ? slope + momentum * v[i] : v[i]);
    }
  });
}

template <class T>
void lars_update(Cpu device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                 const LarsSettings& settings, T* p, const T* g, T* v) {
  const T momentum = static_cast<T>(scalars->momentum);
  for (int r = 0; r < range_count; ++r) {
    const double rate = scalars->lr[ranges[r].group];
    const LarsFactors factors = lars_factors(device.memory, ranges[r], rate, settings, p, g);
    const T decay = static_cast<T>(factors.decay);
    const T into_v = static_cast<T>(settings.lr_in_momentum ? rate * factors.ratio : factors.ratio);
    const T into_p = static_cast<T>(settings.lr_in_momentum ? 1 : rate);
    for_ranges(ranges + r, 1, [&](const UpdateRange&, std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        v[i] = momentum * v[i] + into_v * (g[i] + decay * p[i]);
        p[i] -= into_p * v[i];
      }
    });
  }
}

template <class T>
void adamw_update(Cpu, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                  const AdamWSettings& settings, T* p, const T* g, T* m, T* v) {
  const double updates = static_cast<double>(scalars->step) + 1;
  const double correction1 = 1 - std::pow(scalars->momentum, updates);
  const T root2 = static_cast<T>(std::sqrt(1 - std::pow(settings.beta2, updates)));
  const T beta1 = static_cast<T>(scalars->momentum), beta2 = static_cast<T>(settings.beta2);
  const T fresh1 = static_cast<T>(1 - scalars->momentum), fresh2 = static_cast<T>(1 - settings.beta2);
  const T epsilon = static_cast<T>(settings.epsilon);
  for_ranges(ranges, range_count, [&](const UpdateRange& range, std::int64_t first, std::int64_t last) {
    const double lr = scalars->lr[range.group];
    const T keep = static_cast<T>(range.decay ? 1 - lr * settings.weight_decay : 1);
    const T step = static_cast<T>(lr / correction1);
    for (std::int64_t i = first; i < last; ++i) {
      m[i] = beta1 * m[i] + fresh1 * g[i];
      v[i] = beta2 * v[i] + fresh2 * g[i] * g[i];
      p[i] = keep * p[i] - step * m[i] / (std::sqrt(v[i]) / root2 + epsilon);
    }
  });
}

template <class T>
void ema_update(Cpu, std::int64_t count, const StepScalars* scalars, T* target, const T* source) {
  const T kept = static_cast<T>(scalars->ema_tau), taken = static_cast<T>(1 - scalars->ema_tau);
  cpu::parallel_for(count, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) target[i] = kept * target[i] + taken * source[i];
  });
}

template void sgd_update(Cpu, const UpdateRange*, int, const StepScalars*, const SgdSettings&, float*, const float*,
                         float*);
template void lars_update(Cpu, const UpdateRange*, int, const StepScalars*, const LarsSettings&, float*, const float*,
                          float*);
template void adamw_update(Cpu, const UpdateRange*, int, const StepScalars*, const AdamWSettings&, float*, const float*,
                           float*, float*);
template void ema_update(Cpu, std::int64_t, const StepScalars*, float*, const float*);
template void sgd_update(Cpu, const UpdateRange*, int, const StepScalars*, const SgdSettings&, double*, const double*,
                         double*);
template void lars_update(Cpu, const UpdateRange*, int, const StepScalars*, const LarsSettings&, double*, const double*,
                          double*);
template void adamw_update(Cpu, const UpdateRange*, int, const StepScalars*, const AdamWSettings&, double*,
                           const double*, double*, double*);
template void ema_update(Cpu, std::int64_t, const StepScalars*, double*, const double*);

}  // namespace kagami
