#include "kernels/cpu/contrastive_kernels.h"

#include "kernels/cpu/isa/exp.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

static_assert(contrastive_padding % lanes == 0);

/// The larger of two, NaN where there is one.
KAGAMI_INLINE Float larger_or_nan(Float a, Float b) { return (a > b) | (a != a) ? a : b; }
template <class T>
KAGAMI_INLINE T larger_or_nan(T a, T b) {
  return a > b || a != a ? a : b;
}

KAGAMI_INLINE float largest_of(Float v) {
  float m = v[0];
  for (int i = 1; i < lanes; ++i) m = larger_or_nan(v[i], m);
  return m;
}

KAGAMI_INLINE float sum_of(Float v) {
  float s = 0;
  for (int i = 0; i < lanes; ++i) s += v[i];
  return s;
}

void accumulate(const float* s, std::int64_t count, float* largest, float* sum) {
  Float m = broadcast(*largest);
  for (std::int64_t j = 0; j < count; j += lanes) m = larger_or_nan(load(s + j), m);
  const float top = largest_of(m);
  if (top == -__builtin_inff()) return;
  Float part = Float{};
  for (std::int64_t j = 0; j < count; j += lanes) part += exp(load(s + j) - top);
  *sum = *sum * exp(broadcast(*largest - top))[0] + sum_of(part);
  *largest = top;
}

void weights(float* s, std::int64_t count, float log_sum, const float* log_sums) {
  for (std::int64_t j = 0; j < count; j += lanes) {
    const Float x = load(s + j), of_row = exp(x - log_sum);
    store(s + j, log_sums ? of_row + exp(x - load(log_sums + j)) : of_row);
  }
}

void accumulate_double(const double* s, std::int64_t count, double* largest, double* sum) {
  double top = *largest;
  for (std::int64_t j = 0; j < count; ++j) top = larger_or_nan(s[j], top);
  if (top == -__builtin_inf()) return;
  double total = *sum * __builtin_exp(*largest - top);
  for (std::int64_t j = 0; j < count; ++j) total += __builtin_exp(s[j] - top);
  *sum = total;
  *largest = top;
}

void weights_double(double* s, std::int64_t count, double log_sum, const double* log_sums) {
  for (std::int64_t j = 0; j < count; ++j)
    s[j] = __builtin_exp(s[j] - log_sum) + (log_sums ? __builtin_exp(s[j] - log_sums[j]) : 0);
}

}  // namespace

extern const ContrastiveKernels<float> contrastive_float{accumulate, weights};
extern const ContrastiveKernels<double> contrastive_double{accumulate_double, weights_double};

}  // namespace kagami::cpu::KAGAMI_ISA
