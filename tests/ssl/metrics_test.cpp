#include "ssl/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;

/// The matrix of the reference values.
Tensor reference() {
  std::vector<double> values;
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 5; ++j) values.push_back(std::sin(1.0 + 3 * i + 7 * j + 2 * i * j));
  return Tensor::from(values, {6, 5}, Device::cpu());
}

TEST(Metrics, ReferenceValues) {
  const Spread s = spread(reference());
  EXPECT_NEAR(s.m_o, 0.262721403, 1e-9);
  EXPECT_NEAR(s.m_r, 0.963063544, 1e-9);
  EXPECT_NEAR(s.std_sqrt_d, 0.958540467, 1e-9);
  EXPECT_NEAR(covariance_penalty(reference()), 0.027491476, 1e-9);
}

TEST(Metrics, SquaresOfMeanAndRestAddUpToOne) {
  for (unsigned seed = 0; seed < 5; ++seed) {
    const Tensor z = random_tensor({40, 7}, DType::f64, seed, -1, 2);
    std::vector<double> unit = z.to_host<double>(), o(7);
    for (std::size_t i = 0; i < 40; ++i) {
      double square = 0;
      for (std::size_t j = 0; j < 7; ++j) square += unit[7 * i + j] * unit[7 * i + j];
      for (std::size_t j = 0; j < 7; ++j) o[j] += (unit[7 * i + j] /= std::sqrt(square)) / 40;
    }
    double rest = 0;  // mean |r_i|^2
    for (std::size_t i = 0; i < 280; ++i) rest += (unit[i] - o[i % 7]) * (unit[i] - o[i % 7]) / 40;
    const Spread s = spread(z);
    EXPECT_NEAR(s.m_o * s.m_o + rest, 1, 1e-12);
    EXPECT_LE(s.m_r * s.m_r, rest + 1e-12);
    EXPECT_LE(s.std_sqrt_d, std::sqrt(1 - s.m_o * s.m_o) + 1e-12);
    EXPECT_GT(s.m_r, 0);
  }
}

TEST(Metrics, CollapsedAndSpreadOut) {
  const Spread collapsed = spread(Tensor::full({8, 4}, 3, DType::f32, Device::cpu()));
  EXPECT_NEAR(collapsed.m_o, 1, 1e-12);
  EXPECT_NEAR(collapsed.m_r, 0, 1e-12);
  EXPECT_NEAR(collapsed.std_sqrt_d, 0, 1e-12);
  std::vector<double> identity(36);
  for (std::size_t i = 0; i < 6; ++i) identity[7 * i] = 1;
  const Tensor eye = Tensor::from(identity, {6, 6}, Device::cpu());
  EXPECT_NEAR(spread(eye).std_sqrt_d, std::sqrt(5.0) / 6 * std::sqrt(6.0), 1e-12);
  EXPECT_NEAR(spread(eye).m_o, 1 / std::sqrt(6.0), 1e-12);
  EXPECT_NEAR(participation_ratio(eye), 5, 1e-12);  // centred, six axes span five directions
}

TEST(Metrics, ARankOneCodeIsFoundOut) {
  std::vector<double> code;
  for (int i = 0; i < 50; ++i)
    for (int j = 0; j < 9; ++j) code.push_back(i % 2 ? -1.0 : 1.0);
  const Tensor z = Tensor::from(code, {50, 9}, Device::cpu());
  EXPECT_NEAR(spread(z).m_o, 0, 1e-12);
  EXPECT_NEAR(spread(z).std_sqrt_d, 1, 1e-12);
  EXPECT_NEAR(participation_ratio(z), 1, 1e-12);
  const double n = 50, d = 9;
  EXPECT_LE(covariance_penalty(z), n / (n - 1) * n / (n - 1) / d + 1e-12);
  EXPECT_NEAR(covariance_penalty(z), (d - 1) * d * std::pow(n / (n - 1) / d, 2) / d, 1e-12);
}

TEST(Metrics, AlignmentAndUniformity) {
  const Tensor z = random_tensor({12, 5}, DType::f64, 1), twice = random_tensor({12, 5}, DType::f64, 1, -2, 2);
  EXPECT_NEAR(alignment(z, z), 0, 1e-12);
  EXPECT_NEAR(alignment(z, twice), 0, 1e-12);  // lengths do not matter
  const std::vector<double> two{1, 0, -1, 0};
  EXPECT_NEAR(uniformity(Tensor::from(two, {2, 2}, Device::cpu())), -8, 1e-12);
  const std::vector<double> right{1, 0, 0, 1};
  EXPECT_NEAR(uniformity(Tensor::from(right, {2, 2}, Device::cpu())), -4, 1e-12);
  EXPECT_NEAR(alignment(Tensor::from(two, {2, 2}, Device::cpu()), Tensor::from(right, {2, 2}, Device::cpu())), 1,
              1e-12);
}

TEST(Metrics, MisuseIsNamed) {
  EXPECT_THROW(spread(Tensor::zeros({3}, DType::f64, Device::cpu())), InputError);
  EXPECT_THROW(uniformity(Tensor::zeros({1, 3}, DType::f64, Device::cpu())), InputError);
  EXPECT_THROW(alignment(Tensor::zeros({2, 3}, DType::f64, Device::cpu()), reference()), InputError);
}

}  // namespace
}  // namespace kagami
