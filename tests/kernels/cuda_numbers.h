#pragma once
// Numbers for tests of CUDA kernels against the CPU's in double.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/types.h"

namespace kagami {

/// Values of T, normal with mean 0 and deviation 1.
template <class T>
std::vector<T> normal_values(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<T> values;
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i) values.push_back(T(distribution(generator)));
  return values;
}

template <class T>
std::vector<double> as_doubles(const std::vector<T>& values) {
  std::vector<double> result;
  result.reserve(values.size());
  for (const T& v : values) result.push_back(static_cast<double>(static_cast<float>(v)));
  return result;
}

/// Frobenius norm of the difference over that of `expected`.
template <class T>
double relative_error(const std::vector<T>& got, const std::vector<double>& expected) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = static_cast<double>(static_cast<float>(got[i])) - expected[i];
    difference += d * d;
    size += expected[i] * expected[i];
  }
  return std::sqrt(difference) / (size > 0 ? std::sqrt(size) : 1);
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace kagami
