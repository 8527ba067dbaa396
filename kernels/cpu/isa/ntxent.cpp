#include "kernels/cpu/ntxent_kernels.h"

#include "kernels/cpu/isa/exp.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

static_assert(ntxent_padding % lanes == 0);

KAGAMI_INLINE float largest_of(Float v) {
  float m = v[0];
  for (int i = 1; i < lanes; ++i) m = v[i] > m ? v[i] : m;
  return m;
}

KAGAMI_INLINE float sum_of(Float v) {
  float s = 0;
  for (int i = 0; i < lanes; ++i) s += v[i];
  return s;
}

void accumulate(const float* s, std::int64_t count, float* largest, float* sum) {
  Float m = broadcast(*largest);
  for (std::int64_t j = 0; j < count; j += lanes) {
    const Float x = load(s + j);
    m = x > m ? x : m;
  }
  const float top = largest_of(m);
  if (top == -__builtin_inff()) return;
  Float part = Float{};
  for (std::int64_t j = 0; j < count; j += lanes) part += exp(load(s + j) - top);
  *sum = *sum * exp(broadcast(*largest - top))[0] + sum_of(part);
  *largest = top;
}

void weights(float* s, std::int64_t count, float log_sum, const float* log_sums) {
  for (std::int64_t j = 0; j < count; j += lanes) {
    const Float x = load(s + j);
    store(s + j, exp(x - log_sum) + exp(x - load(log_sums + j)));
  }
}

void accumulate_double(const double* s, std::int64_t count, double* largest, double* sum) {
  double top = *largest;
  for (std::int64_t j = 0; j < count; ++j) top = s[j] > top ? s[j] : top;
  if (top == -__builtin_inf()) return;
  double total = *sum * __builtin_exp(*largest - top);
  for (std::int64_t j = 0; j < count; ++j) total += __builtin_exp(s[j] - top);
  *sum = total;
  *largest = top;
}

void weights_double(double* s, std::int64_t count, double log_sum, const double* log_sums) {
  for (std::int64_t j = 0; j < count; ++j) s[j] = __builtin_exp(s[j] - log_sum) + __builtin_exp(s[j] - log_sums[j]);
}

}  // namespace

extern const NtXentKernels<float> ntxent_float{accumulate, weights};
extern const NtXentKernels<double> ntxent_double{accumulate_double, weights_double};

}  // namespace kagami::cpu::KAGAMI_ISA
