#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

struct Case {
  int m, n, k, batch;
  int padding;  // elements between rows, and between matrices
};

std::vector<double> normal(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<double> values(count);
  for (double& v : values) v = distribution(generator);
  return values;
}

template <class T>
void expect_matches(const Case& t, bool transpose_a, bool transpose_b, bool extra, double tolerance) {
  const int a_rows = transpose_a ? t.k : t.m, a_columns = transpose_a ? t.m : t.k;
  const int b_rows = transpose_b ? t.n : t.k, b_columns = transpose_b ? t.k : t.n;
  MatmulShape shape{t.m, t.n, t.k, t.batch, a_columns + t.padding, b_columns + t.padding, t.n + t.padding};
  shape.stride_a = a_rows * shape.lda + t.padding;
  shape.stride_b = b_rows * shape.ldb + t.padding;
  shape.stride_c = t.m * shape.ldc + t.padding;
  const auto a = normal(t.batch * shape.stride_a, 1), b = normal(t.batch * shape.stride_b, 2), bias = normal(t.n, 3);
  const auto before = normal(t.batch * shape.stride_c, 4);
  std::vector<T> fa(a.begin(), a.end()), fb(b.begin(), b.end()), fbias(bias.begin(), bias.end());
  std::vector<T> c(before.begin(), before.end());
  Arena arena;
  matmul(Cpu{&arena}, shape, transpose_a, transpose_b, fa.data(), fb.data(), c.data(),
         extra ? Accumulate::yes : Accumulate::no, extra ? fbias.data() : nullptr);
  std::vector<double> expected = before;  // what lies between rows must stay as it was
  double difference = 0, size = 0;
  for (int i = 0; i < t.batch; ++i)
    for (int row = 0; row < t.m; ++row)
      for (int column = 0; column < t.n; ++column) {
        double sum = extra ? before[i * shape.stride_c + row * shape.ldc + column] + bias[column] : 0;
        for (int p = 0; p < t.k; ++p)
          sum += a[i * shape.stride_a + (transpose_a ? p * shape.lda + row : row * shape.lda + p)] *
                 b[i * shape.stride_b + (transpose_b ? column * shape.ldb + p : p * shape.ldb + column)];
        expected[i * shape.stride_c + row * shape.ldc + column] = sum;
      }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (c[i] - expected[i]) * (c[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  EXPECT_TRUE(std::sqrt(difference / size) <= tolerance)
      << std::sqrt(difference / size) << " for " << t.m << 'x' << t.k << (transpose_a ? " transposed" : "") << " times "
      << t.k << 'x' << t.n << (transpose_b ? " transposed" : "");
}

const Case cases[] = {{1, 1, 1, 1, 0},    {6, 16, 5, 1, 0},     {13, 33, 70, 1, 3},   {64, 10, 128, 1, 0},
                      {1, 128, 64, 1, 0}, {50, 1, 40, 2, 1},    {9, 7, 11, 9, 2},     {70, 130, 300, 1, 0},
                      {3, 40, 600, 2, 0}, {256, 128, 96, 1, 0}, {10, 65, 2100, 1, 1}, {40, 48, 2500, 1, 0}};

/// Calls f(case, transpose_a, transpose_b, extra) for everything.
template <class F>
void each_case(F f) {
  for (const Case& t : cases)
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const bool extra : {false, true}) f(t, transpose_a, transpose_b, extra);
}

TEST(Matmul, DoubleAgreesWithTheDefinition) {
  each_case([](const Case& t, bool transpose_a, bool transpose_b, bool extra) {
    expect_matches<double>(t, transpose_a, transpose_b, extra, 1e-13);
  });
}

TEST(Matmul, FloatAgreesWithTheDefinitionOnEveryInstructionSet) {
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    SCOPED_TRACE(isa);
    try {
      cpu::set_isa(isa);
    } catch (const std::invalid_argument&) {
      continue;
    }
    each_case([](const Case& t, bool transpose_a, bool transpose_b, bool extra) {
      expect_matches<float>(t, transpose_a, transpose_b, extra, 2e-6);
    });
  }
  cpu::set_isa("auto");
}

TEST(Matmul, HasTheSameBitsWithAnyNumberOfThreads) {
  Arena arena;
  for (const auto& [m, n, k, batch] : {std::array{130, 70, 300, 1}, {10, 65, 5000, 1}, {20, 30, 40, 12}}) {
    MatmulShape shape{m, n, k, batch, k, n, n, m * k, k * n, m * n};
    const auto a = normal(std::size_t(batch) * m * k, 1), b = normal(std::size_t(batch) * k * n, 2);
    const std::vector<float> fa(a.begin(), a.end()), fb(b.begin(), b.end());
    std::vector<float> results[3];
    for (int i = 0; i < 3; ++i) {
      cpu::set_threads(std::array{1, 2, 5}[i]);
      results[i].resize(std::size_t(batch) * m * n);
      matmul(Cpu{&arena}, shape, false, false, fa.data(), fb.data(), results[i].data(), Accumulate::no);
    }
    EXPECT_TRUE(results[0] == results[1] && results[0] == results[2]) << m << 'x' << k << " times " << k << 'x' << n;
  }
  cpu::set_threads(0);
}

TEST(Matmul, AnEmptySumIsZeroOrTheBias) {
  Arena arena;
  const MatmulShape shape{2, 3, 0, 1, 1, 3, 3};
  const float bias[] = {1, 2, 3};
  std::vector<float> c(6, 7);
  matmul(Cpu{&arena}, shape, false, false, bias, bias, c.data(), Accumulate::no, bias);
  EXPECT_EQ(c, (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

}  // namespace
}  // namespace kagami
