#include "kernels/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/cpu/parallel.h"
#include "kernels/optimizer_formula.h"

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

template <class T>
void write_rounded(const T* values, bf16* copy, std::int64_t first, std::int64_t last) {
  if (!copy) return;
  for (std::int64_t i = first; i < last; ++i) copy[i] = bf16(static_cast<float>(values[i]));
}

/// The target of parameters [first, last), which are written.
template <class T>
void follow(const StepScalars& scalars, const T* p, const EmaTarget<T>& target, std::int64_t first, std::int64_t last) {
  last = std::min(last, target.count);
  const EmaRates<T> rates = ema_rates<T>(scalars);
  for (std::int64_t i = first; i < last; ++i) target.values[i] = ema_step(rates, target.values[i], p[i]);
  write_rounded(target.values, target.copy, first, last);
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

template <class T>
LarsFactors factors_of(Arena* memory, const UpdateRange& range, double lr, const LarsSettings& s, const T* p,
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
  return lars_factors(s, range, lr, p_norm, g_norm);
}

}  // namespace

template <class T>
void sgd_update(Cpu, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                const SgdSettings& settings, T* p, const T* g, T* v, bf16* copy, const EmaTarget<T>& target) {
  for_ranges(ranges, range_count, [&](const UpdateRange& range, std::int64_t first, std::int64_t last) {
    const SgdRates<T> rates = sgd_rates<T>(*scalars, settings, range);
    for (std::int64_t i = first; i < last; ++i) sgd_step(rates, p[i], g[i], v[i]);
    write_rounded(p, copy, first, last);
    follow(*scalars, p, target, first, last);
  });
}

template <class T>
void lars_update(Cpu device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                 const LarsSettings& settings, T* p, const T* g, T* v, bf16* copy, const EmaTarget<T>& target) {
  for (int r = 0; r < range_count; ++r) {
    const double lr = scalars->lr[ranges[r].group];
    const LarsFactors factors = factors_of(device.memory, ranges[r], lr, settings, p, g);
    const LarsRates<T> rates = lars_rates<T>(*scalars, settings, lr, factors);
    for_ranges(ranges + r, 1, [&](const UpdateRange&, std::int64_t first, std::int64_t last) {
      const LarsRates<T> own = rates;  // in registers: p and v might alias the rates
      for (std::int64_t i = first; i < last; ++i) lars_step(own, p[i], g[i], v[i]);
      write_rounded(p, copy, first, last);
      follow(*scalars, p, target, first, last);
    });
  }
}

template <class T>
void adamw_update(Cpu, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                  const AdamWSettings& settings, T* p, const T* g, T* m, T* v, bf16* copy, const EmaTarget<T>& target) {
  const AdamWCorrections corrections = adamw_corrections(*scalars, settings);
  for_ranges(ranges, range_count, [&](const UpdateRange& range, std::int64_t first, std::int64_t last) {
    const AdamWRates<T> rates = adamw_rates<T>(*scalars, settings, corrections, range);
    for (std::int64_t i = first; i < last; ++i) adamw_step(rates, p[i], g[i], m[i], v[i]);
    write_rounded(p, copy, first, last);
    follow(*scalars, p, target, first, last);
  });
}

template <class T>
void ema_update(Cpu, const StepScalars* scalars, const T* p, const EmaTarget<T>& target) {
  cpu::parallel_for(target.count, grain,
                    [&](std::int64_t first, std::int64_t last) { follow(*scalars, p, target, first, last); });
}

template void sgd_update(Cpu, const UpdateRange*, int, const StepScalars*, const SgdSettings&, float*, const float*,
                         float*, bf16*, const EmaTarget<float>&);
template void lars_update(Cpu, const UpdateRange*, int, const StepScalars*, const LarsSettings&, float*, const float*,
                          float*, bf16*, const EmaTarget<float>&);
template void adamw_update(Cpu, const UpdateRange*, int, const StepScalars*, const AdamWSettings&, float*, const float*,
                           float*, float*, bf16*, const EmaTarget<float>&);
template void ema_update(Cpu, const StepScalars*, const float*, const EmaTarget<float>&);
template void sgd_update(Cpu, const UpdateRange*, int, const StepScalars*, const SgdSettings&, double*, const double*,
                         double*, bf16*, const EmaTarget<double>&);
template void lars_update(Cpu, const UpdateRange*, int, const StepScalars*, const LarsSettings&, double*, const double*,
                          double*, bf16*, const EmaTarget<double>&);
template void adamw_update(Cpu, const UpdateRange*, int, const StepScalars*, const AdamWSettings&, double*,
                           const double*, double*, double*, bf16*, const EmaTarget<double>&);
template void ema_update(Cpu, const StepScalars*, const double*, const EmaTarget<double>&);

}  // namespace kagami
