#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "tests/kernels/matmul_case.h"

namespace kagami {
namespace {

std::vector<double> normal(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<double> values(count);
  for (double& v : values) v = distribution(generator);
  return values;
}

/// One case with its operands and what C must be afterwards.
struct Problem {
  Problem(const MatmulCase& t, bool transpose_a, bool transpose_b, bool extra);
  template <class T>
  double relative_error() const;

  MatmulShape shape;
  bool transpose_a, transpose_b;
  bool extra;  // with a bias, added to what C holds
  bool relu;   // then
  std::vector<double> a, b, bias, before, expected;
};

Problem::Problem(const MatmulCase& t, bool transpose_a, bool transpose_b, bool extra)
    : shape(shape_of(t, transpose_a, transpose_b)),
      transpose_a(transpose_a),
      transpose_b(transpose_b),
      extra(extra),
      relu(extra && t.m * t.n > 1) {
  a = normal(t.batch * shape.stride_a, 1), b = normal(t.batch * shape.stride_b, 2), bias = normal(t.n, 3);
  before = normal(t.batch * shape.stride_c, 4);
  expected = before;  // what lies between rows must stay as it was
  for (int i = 0; i < t.batch; ++i)
    for (int row = 0; row < t.m; ++row)
      for (int column = 0; column < t.n; ++column) {
        double& c = expected[i * shape.stride_c + row * shape.ldc + column];
        c = extra ? c + bias[column] : 0;
        for (int p = 0; p < t.k; ++p)
          c += a[i * shape.stride_a + (transpose_a ? p * shape.lda + row : row * shape.lda + p)] *
               b[i * shape.stride_b + (transpose_b ? column * shape.ldb + p : p * shape.ldb + column)];
        if (relu) c = std::max(c, 0.0);
      }
}

/// Of C computed in T: Frobenius norm of the difference over that of what is expected.
template <class T>
double Problem::relative_error() const {
  const std::vector<T> ta(a.begin(), a.end()), tb(b.begin(), b.end()), tbias(bias.begin(), bias.end());
  std::vector<T> c(before.begin(), before.end());
  Arena arena;
  matmul(Cpu{&arena}, shape, transpose_a, transpose_b, ta.data(), tb.data(), c.data(),
         extra ? Accumulate::yes : Accumulate::no, {extra ? tbias.data() : nullptr, relu});
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (c[i] - expected[i]) * (c[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(difference / size);
}

const MatmulCase cases[] = {{1, 1, 1, 1, 0},    {6, 16, 5, 1, 0},     {13, 33, 70, 1, 3},   {64, 10, 128, 1, 0},
                            {1, 128, 64, 1, 0}, {50, 1, 40, 2, 1},    {9, 7, 11, 9, 2},     {70, 130, 300, 1, 0},
                            {3, 40, 600, 2, 0}, {256, 128, 96, 1, 0}, {10, 65, 2100, 1, 1}, {40, 48, 2500, 1, 0}};

/// double, then float on every instruction set this processor has.
void expect_agrees(const Problem& problem) {
  EXPECT_TRUE(problem.relative_error<double>() <= 1e-13) << problem.relative_error<double>();
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    try {
      cpu::set_isa(isa);
    } catch (const std::invalid_argument&) {
      continue;
    }
    EXPECT_TRUE(problem.relative_error<float>() <= 2e-6) << problem.relative_error<float>() << ", " << isa;
  }
  cpu::set_isa("auto");
}

TEST(Matmul, AgreesWithTheDefinition) {
  for (const MatmulCase& t : cases)
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const bool extra : {false, true}) {
          SCOPED_TRACE(testing::Message()
                       << t.m << 'x' << t.k << (transpose_a ? " transposed" : "") << " times " << t.k << 'x' << t.n
                       << (transpose_b ? " transposed" : "") << (extra ? ", added" : ""));
          expect_agrees(Problem(t, transpose_a, transpose_b, extra));
        }
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
  matmul(Cpu{&arena}, shape, false, false, bias, bias, c.data(), Accumulate::no, {bias});
  EXPECT_EQ(c, (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

}  // namespace
}  // namespace kagami
