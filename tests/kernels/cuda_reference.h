#pragma once
// For tests of CUDA kernels beside the CPU's: operands, comparisons, devices of several sizes.
#if KAGAMI_HAS_CUDA
#include <cmath>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

#include "kernels/philox.h"
#include "tests/kernels/cuda_case.h"

namespace kagami {

/// A CPU with memory of its own.
inline Cpu test_cpu() {
  static Arena memory;
  return {&memory};
}

/// Standard normal values times `scale`, rounded to T.
template <class T>
std::vector<T> normal_values(std::int64_t count, std::uint32_t seed, float scale = 1) {
  Philox random(seed, Purpose::test, 0, 0, 0);
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(T(static_cast<Wide<T>>(scale * random.normal<float>())));
  return values;
}

template <class T>
std::vector<double> widened(const std::vector<T>& values) {
  std::vector<double> result;
  for (const T x : values) result.push_back(static_cast<double>(static_cast<Wide<T>>(x)));
  return result;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// How far a result may lie from the CPU's double, as a share of its size: a float's few roundings, a bf16's one.
template <class T>
constexpr double tolerance_of = 1e-6;
template <>
inline constexpr double tolerance_of<bf16> = 0x1.1p-8;

/// Each value within tolerance * (its own size + the root mean square of all).
template <class T>
void expect_close(const char* what, const std::vector<T>& got, const std::vector<double>& expected,
                  double tolerance = tolerance_of<T>) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double squares = 0;
  for (const double x : expected) squares += x * x;
  const double typical = std::sqrt(squares / static_cast<double>(expected.size()));
  const std::vector<double> values = widened(got);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(values[i] - expected[i]);
    if (!(error <= tolerance * (std::abs(expected[i]) + typical)))
      FAIL() << what << "[" << i << "] = " << values[i] << ", expected " << expected[i] << " (typical " << typical
             << ")";
  }
}

/// What run(device) returns, a tuple of vectors: the same bits under every schedule and on devices of 1, 7 and 132
/// multiprocessors.
template <class F>
auto on_every_device(F&& run) {
  using Result = decltype(run(test_cuda()));
  std::optional<Result> first;
  under_every_schedule([&] {
    for (const int multiprocessors : {1, 7, 132}) {
      Cuda device = test_cuda();
      device.multiprocessors = multiprocessors;
      const Result result = run(device);
      if (!first) first = result;
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        EXPECT_TRUE((same_bits(std::get<I>(result), std::get<I>(*first)) && ...)) << multiprocessors;
      }
      (std::make_index_sequence<std::tuple_size_v<Result>>());
    }
  });
  return *first;
}

}  // namespace kagami
#endif
