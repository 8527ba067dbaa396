#pragma once
// NT-Xent on one row of a tile: what kernels/cpu/isa/ntxent.cpp compiles for each instruction set.
#include <cstdint>

namespace kagami::cpu {

/// Rows are padded to a multiple of this many values.
constexpr std::int64_t ntxent_padding = 16;

template <class T>
struct NtXentKernels {
  /// Takes `count` values into a running log-sum-exp: largest, and sum of e^(s - largest). -inf is no value.
  void (*accumulate)(const T* s, std::int64_t count, T* largest, T* sum);
  /// s[j] = e^(s[j] - log_sum) + e^(s[j] - log_sums[j]).
  void (*weights)(T* s, std::int64_t count, T log_sum, const T* log_sums);
};

namespace baseline {
extern const NtXentKernels<float> ntxent_float;
extern const NtXentKernels<double> ntxent_double;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const NtXentKernels<float> ntxent_float;
extern const NtXentKernels<double> ntxent_double;
}  // namespace avx2
namespace avx512 {
extern const NtXentKernels<float> ntxent_float;
extern const NtXentKernels<double> ntxent_double;
}  // namespace avx512
#endif

}  // namespace kagami::cpu
