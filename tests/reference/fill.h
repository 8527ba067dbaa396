#pragma once
// The values of tests/reference/fill.py in C++: a reference file's inputs and parameters, and the probes of a result.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace kagami::reference {

inline uint64_t key(std::string_view name) {
  uint64_t h = 14695981039346656037ULL;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return h;
}

/// SplitMix64's output i of a seed.
inline uint64_t bits(uint64_t seed, uint64_t i) {
  uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

inline double value(uint64_t seed, uint64_t i, double scale, double offset) {
  const double v = 2.0 * (static_cast<double>(bits(seed, i) >> 11) * 0x1p-53) - 1.0;
  return static_cast<float>(offset + scale * v);
}

/// `count` values around 0, such as the input ("x.<salt>", scale 2) or the upstream gradient ("upstream", scale 1).
inline std::vector<double> values(std::string_view name, int64_t count, double scale) {
  std::vector<double> result(count);
  for (int64_t i = 0; i < count; ++i) result[i] = value(key(name), i, scale, 0);
  return result;
}

/// A model's parameter or buffer by its torchvision name and shape ([K,C,R,S], [out,in] or [C]), in that layout's
/// order.
inline std::vector<double> parameter(std::string_view name, const std::vector<int64_t>& shape) {
  const auto count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  double scale = 0.0625, offset = 0.5;
  const bool bias = name.ends_with("bias");
  if (name.ends_with("running_mean")) scale = 0.125, offset = 0;
  if (name.ends_with("running_var")) scale = 0.5, offset = 1;
  if (bias) scale = 0.125;
  if (shape.size() > 1) {
    scale = std::sqrt(6.0 / (static_cast<double>(count) / static_cast<double>(shape[0])));
    offset = 0;
  }
  std::vector<double> result(count);
  for (int64_t i = 0; i < count; ++i) {
    result[i] = value(key(name), i, scale, bias ? (i % 2 == 0 ? 1.5 : -1.5) : offset);
  }
  return result;
}

constexpr int probe_count = 16;

/// {Frobenius norm, probe 0, ..., probe 15} of a tensor in its reference layout's order.
template <class T>
std::vector<double> summary(const T* g, int64_t count) {
  std::vector<double> result(1 + probe_count, 0.0);
  for (int64_t i = 0; i < count; ++i) result[0] += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  result[0] = std::sqrt(result[0]);
  for (int p = 0; p < probe_count; ++p) {
    const uint64_t seed = key("probe." + std::to_string(p));
    for (int64_t i = 0; i < count; ++i) result[1 + p] += (bits(seed, i) >> 63 ? -1.0 : 1.0) * static_cast<double>(g[i]);
  }
  return result;
}

/// Estimate of ||g - reference|| from both summaries: root mean square difference of the probes.
inline double error_by_probes(const std::vector<double>& g, const std::vector<double>& reference) {
  double sum = 0;
  for (int p = 1; p <= probe_count; ++p) sum += (g[p] - reference[p]) * (g[p] - reference[p]);
  return std::sqrt(sum / probe_count);
}

}  // namespace kagami::reference
