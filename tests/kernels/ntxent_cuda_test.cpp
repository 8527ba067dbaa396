#if KAGAMI_HAS_CUDA
#include <cmath>
#include <random>
#include <vector>

#include "kernels/ntxent.h"
#include "tests/kernels/cuda_case.h"

namespace kagami {
namespace {

using Values = std::vector<double>;

/// Unit rows that floats hold; `spread` is how far a row is from its positive.
Values unit_rows(const NtXentShape& shape, double spread, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> distribution;
  const std::size_t dim = static_cast<std::size_t>(shape.dim), rows = static_cast<std::size_t>(shape.rows);
  Values values(rows * dim);
  for (std::size_t i = 0; i < rows; ++i) {
    double* row = &values[i * dim];
    const double* positive = i < rows / 2 ? nullptr : &values[(i - rows / 2) * dim];
    double size = 0;
    for (std::size_t k = 0; k < dim; ++k) {
      row[k] = positive ? positive[k] + spread * distribution(generator) : distribution(generator);
      size += row[k] * row[k];
    }
    for (std::size_t k = 0; k < dim; ++k) row[k] = static_cast<float>(row[k] / std::sqrt(size));
  }
  return values;
}

struct Results {
  Values log_sums, losses, correct, gradient;
};

Results on_cpu(const NtXentShape& shape, const Values& unit) {
  Arena arena;
  const std::size_t rows = static_cast<std::size_t>(shape.rows);
  Results r{Values(rows), Values(rows), Values(rows), Values(unit.size())};
  ntxent_forward(Cpu{&arena}, shape, unit.data(), r.log_sums.data(), r.losses.data(), r.correct.data());
  ntxent_backward(Cpu{&arena}, shape, unit.data(), r.log_sums.data(), r.gradient.data());
  return r;
}

Values doubles(const OnDevice<float>& memory) {
  const std::vector<float> values = memory.host();
  return {values.begin(), values.end()};
}

Results on_cuda(Cuda device, const NtXentShape& shape, const Values& unit) {
  const std::size_t rows = static_cast<std::size_t>(shape.rows);
  const OnDevice<float> u(std::vector<float>(unit.begin(), unit.end()));
  const OnDevice<float> log_sums(rows), losses(rows), correct(rows), gradient(unit.size());
  ntxent_forward<float>(device, shape, u.data(), log_sums.data(), losses.data(), correct.data());
  ntxent_backward<float>(device, shape, u.data(), log_sums.data(), gradient.data());
  return {doubles(log_sums), doubles(losses), doubles(correct), doubles(gradient)};
}

double distance(const Values& got, const Values& want) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(got[i] - want[i], 2);
    size += want[i] * want[i];
  }
  return std::sqrt(difference / size);
}

void check_case(const NtXentShape& shape, double spread, double tolerance) {
  SCOPED_TRACE(testing::Message() << shape.rows << 'x' << shape.dim << " temperature " << shape.temperature);
  const Values unit = unit_rows(shape, spread, static_cast<unsigned>(shape.rows));
  const Results want = on_cpu(shape, unit), got = on_cuda(test_cuda(), shape, unit);
  EXPECT_TRUE(distance(got.log_sums, want.log_sums) <= tolerance) << distance(got.log_sums, want.log_sums);
  EXPECT_TRUE(distance(got.losses, want.losses) <= tolerance) << distance(got.losses, want.losses);
  EXPECT_TRUE(distance(got.gradient, want.gradient) <= tolerance) << distance(got.gradient, want.gradient);
  EXPECT_EQ(got.correct, want.correct);
}

TEST(NtXentCuda, AgreesWithTheCpuInDouble) {
  under_every_schedule([] {
    check_case({4, 3, 0.5}, 1, 1e-6);
    check_case({64, 32, 0.5}, 1, 1e-6);
    check_case({70, 40, 0.1}, 0.5, 2e-6);
    check_case({130, 131, 0.5}, 1, 1e-6);  // three shares of columns, two tiles of the gradient's components
  });
}

TEST(NtXentCuda, LowTemperatures) {
  check_case({90, 24, 0.01}, 0.3, 2e-5);
  check_case({90, 24, 0.01}, 2, 2e-5);
}

TEST(NtXentCuda, MoreTilesThanShares) {
  check_case({1100, 8, 0.2}, 0.5, 3e-6);  // 18 tiles of rows: 9 shares of two tiles
}

TEST(NtXentCuda, TwoRowsHaveNoLoss) {
  const NtXentShape shape{2, 5, 0.1};
  const Values unit = unit_rows(shape, 1, 3);
  const Results got = on_cuda(test_cuda(), shape, unit);
  EXPECT_EQ(got.losses, Values({0, 0}));
  EXPECT_EQ(got.correct, Values({1, 1}));
  for (const double g : got.gradient) EXPECT_EQ(g, 0);
}

TEST(NtXentCuda, EqualRowsAreNotCorrect) {
  const NtXentShape shape{66, 40, 0.5};
  Values unit = unit_rows(shape, 1, 4);
  for (std::size_t i = 40; i < unit.size(); ++i) unit[i] = unit[i % 40];
  const Results got = on_cuda(test_cuda(), shape, unit);
  EXPECT_EQ(got.correct, Values(66, 0.0));
  for (const double loss : got.losses) EXPECT_NEAR(loss, std::log(65), 1e-5);
}

TEST(NtXentCuda, SameBitsOnEveryNumberOfMultiprocessors) {
  const NtXentShape shape{200, 16, 0.1};
  const Values unit = unit_rows(shape, 0.5, 5);
  Cuda device = test_cuda();
  const Results first = on_cuda(device, shape, unit);
  for (const int multiprocessors : {1, 7, 132}) {
    device.multiprocessors = multiprocessors;
    const Results again = on_cuda(device, shape, unit);
    EXPECT_EQ(first.log_sums, again.log_sums);
    EXPECT_EQ(first.gradient, again.gradient);
  }
}

}  // namespace
}  // namespace kagami
#endif
