#pragma once
// For tests of CUDA kernels: seeded values, products in double, errors that a NaN cannot pass.
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/types.h"

namespace kagami {

inline std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(generator);
  return values;
}
inline std::vector<bf16> random_bf16(std::size_t count, unsigned seed) {
  std::vector<bf16> values;
  for (const float value : random_floats(count, seed)) values.emplace_back(value);
  return values;
}

/// ||got - want|| / ||want||; NaN where anything is NaN.
template <class T>
double relative_error(const std::vector<T>& got, const std::vector<double>& want) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double d = static_cast<double>(static_cast<float>(got.at(i))) - want[i];
    difference += d * d;
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / norm);
}

/// a [m,k] times the transpose of b [n,k], in double.
template <class T>
std::vector<double> product_with_transpose(int m, int n, int k, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<double> c;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += static_cast<double>(static_cast<float>(a[static_cast<std::size_t>(i * k + l)])) *
               static_cast<double>(static_cast<float>(b[static_cast<std::size_t>(j * k + l)]));
      c.push_back(sum);
    }
  return c;
}

}  // namespace kagami
