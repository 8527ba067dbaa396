#pragma once
// Contrastive losses on one row of a tile: what kernels/cpu/isa/contrastive.cpp compiles for each instruction set.
#include <cstdint>

namespace kagami::cpu {

/// Rows are padded to a multiple of this many values.
constexpr std::int64_t contrastive_padding = 16;

template <class T>
struct ContrastiveKernels {
  /// Takes `count` values into a running log-sum-exp: largest, and sum of e^(s - largest). -inf is no value, NaN makes
  /// both NaN.
  void (*accumulate)(const T* s, std::int64_t count, T* largest, T* sum);
  /// s[j] = e^(s[j] - log_sum) + e^(s[j] - log_sums[j]); without the second where log_sums is null.
  void (*weights)(T* s, std::int64_t count, T log_sum, const T* log_sums);
};

namespace baseline {
extern const ContrastiveKernels<float> contrastive_float;
extern const ContrastiveKernels<double> contrastive_double;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const ContrastiveKernels<float> contrastive_float;
extern const ContrastiveKernels<double> contrastive_double;
}  // namespace avx2
namespace avx512 {
extern const ContrastiveKernels<float> contrastive_float;
extern const ContrastiveKernels<double> contrastive_double;
}  // namespace avx512
#endif

}  // namespace kagami::cpu
