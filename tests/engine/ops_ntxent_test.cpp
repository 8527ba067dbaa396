#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "engine/ops.h"
#include "tests/each_isa.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::random_tensor;
using test::relative_error;

/// Algorithm 1 of Chen et al. 2020, with its matrix of similarities.
struct Plain {
  double loss, accuracy;
};
Plain plain_ntxent(const Tensor& z, double temperature) {
  const int rows = static_cast<int>(z.shape(0)), dim = static_cast<int>(z.shape(1));
  const std::vector<double> v = z.to_host<double>();
  std::vector<double> s(static_cast<std::size_t>(rows * rows));
  const auto dot = [&](int i, int j) {
    return std::inner_product(v.begin() + i * dim, v.begin() + (i + 1) * dim, v.begin() + j * dim, 0.0);
  };
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < rows; ++j)
      s[static_cast<std::size_t>(i * rows + j)] = dot(i, j) / std::sqrt(dot(i, i)) / std::sqrt(dot(j, j)) / temperature;
  Plain result{0, 0};
  for (int i = 0; i < rows; ++i) {
    const double* row = s.data() + i * rows;
    const int positive = (i + rows / 2) % rows;
    double sum = 0;
    bool best = true;
    for (int j = 0; j < rows; ++j) {
      if (j == i) continue;
      sum += std::exp(row[j] - row[positive]);
      best = best && (j == positive || row[j] < row[positive]);
    }
    result.loss += std::log(sum) / rows;
    result.accuracy += best ? 1.0 / rows : 0;
  }
  return result;
}

/// The inputs of the golden values: A_ij = sin(1+3i+7j+2ij), B_ij = A_ij + 0.3 cos(2+5i+3j+ij), stacked.
Tensor golden_inputs() {
  constexpr int n = 6, d = 5;
  std::vector<double> z(2 * n * d);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < d; ++j) {
      const auto at = static_cast<std::size_t>(i * d + j);
      z[at] = std::sin(1 + 3 * i + 7 * j + 2 * i * j);
      z[at + n * d] = z[at] + 0.3 * std::cos(2 + 5 * i + 3 * j + i * j);
    }
  return Tensor::from(z, {2 * n, d}, Device::cpu());
}

double norm(const Tensor& t) { return std::sqrt(sum(mul(t, t)).item()); }

Tensor gradient_of(const Tensor& values, double temperature) {
  Tensor z = values.detach();
  backward(ntxent(z.requires_grad(), temperature).loss);
  return z.grad();
}

TEST(OpsNtXent, Gradients) {
  for (const double temperature : {0.1, 0.5, 1.0})
    check_op({"ntxent", {{8, 5}}, [=](const auto& z) { return ntxent(z[0], temperature).loss; }, -2, 2, 2e-7, 1e-4});
  check_op({"ntxent of one image", {{2, 3}}, [](const auto& z) { return add(ntxent(z[0], 0.5).loss, sum(z[0])); }});
  check_op({"ntxent scaled", {{6, 4}}, [](const auto& z) { return scale(ntxent(z[0], 0.5).loss, -3); }});
}

TEST(OpsNtXent, GoldenValues) {
  struct Golden {
    double temperature, loss, norm_a, a00, a54, norm_b, b00, b54;
  };
  for (const Golden& g :
       {Golden{0.1, 0.149944234, 0.355896151, 0.000101697, 0.082024595, 0.457055976, -0.000015779, 0.132665121},
        Golden{0.5, 0.940129298, 0.136976510, 0.007542115, 0.012660465, 0.171915406, -0.010753997, 0.006229926}}) {
    SCOPED_TRACE(g.temperature);
    const Tensor z = golden_inputs();
    EXPECT_NEAR(ntxent(z, g.temperature).loss.item(), g.loss, 6e-10);
    const Tensor gradient = gradient_of(z, g.temperature);
    const Tensor da = gradient.rows(0, 6), db = gradient.rows(6, 6);
    EXPECT_NEAR(norm(da), g.norm_a, 6e-10);
    EXPECT_NEAR(norm(db), g.norm_b, 6e-10);
    EXPECT_NEAR(da.data<double>()[0], g.a00, 6e-10);
    EXPECT_NEAR(da.data<double>()[29], g.a54, 6e-10);
    EXPECT_NEAR(db.data<double>()[0], g.b00, 6e-10);
    EXPECT_NEAR(db.data<double>()[29], g.b54, 6e-10);
  }
}

TEST(OpsNtXent, MatchesAlgorithm1) {
  for (const int n : {1, 2, 4, 37, 300})
    for (const int d : {1, 2, 16, 64})
      for (const double temperature : {0.1, 1.0, 10.0}) {
        if (n == 300 && d != 16) continue;
        const Tensor z = random_tensor({2 * n, d}, DType::f64, static_cast<unsigned>(n * 100 + d));
        const ContrastiveLoss ours = ntxent(z, temperature), single = ntxent(z.to(DType::f32), temperature);
        const Plain plain = plain_ntxent(z, temperature);
        EXPECT_NEAR(ours.loss.item(), plain.loss, 1e-12 * (1 + plain.loss)) << n << ' ' << d << ' ' << temperature;
        EXPECT_NEAR(single.loss.item(), plain.loss, 1e-5 * (1 + plain.loss)) << n << ' ' << d << ' ' << temperature;
        if (d == 1) continue;  // rows of +-1: every comparison is a tie
        EXPECT_NEAR(ours.accuracy.item(), plain.accuracy, 1e-12) << n << ' ' << d << ' ' << temperature;
        EXPECT_NEAR(single.accuracy.item(), plain.accuracy, 1e-6) << n << ' ' << d << ' ' << temperature;
      }
}

TEST(OpsNtXent, EqualEmbeddingsGiveLogOfTheOthersAndNoAccuracy) {
  for (const int n : {2, 4, 15, 200}) {
    const ContrastiveLoss all_equal = ntxent(Tensor::full({2 * n, 8}, 0.7, DType::f64, Device::cpu()), 0.1);
    EXPECT_NEAR(all_equal.loss.item(), std::log(2 * n - 1), 1e-12) << n;
    EXPECT_EQ(all_equal.accuracy.item(), 0) << n;
  }
}

TEST(OpsNtXent, AccuracyOfIdenticalViewsIsOne) {
  const Tensor view = random_tensor({50, 8}, DType::f32, 1);
  EXPECT_EQ(ntxent(concat({view, view}, 0), 0.5).accuracy.item(), 1);
  EXPECT_FALSE(ntxent(view, 0.5).accuracy.wants_grad());
}

TEST(OpsNtXent, FollowsAPermutationOfTheImages) {
  const int n = 20;
  const Tensor z = random_tensor({2 * n, 6}, DType::f64, 1);
  std::vector<std::int32_t> order(2 * n);
  for (int i = 0; i < n; ++i) {
    order[static_cast<std::size_t>(i)] = (7 * i + 3) % n;
    order[static_cast<std::size_t>(i + n)] = order[static_cast<std::size_t>(i)] + n;
  }
  const Tensor indices = Tensor::from(order, {2 * n}, Device::cpu());
  EXPECT_NEAR(ntxent(gather(z, indices, 0), 0.2).loss.item(), ntxent(z, 0.2).loss.item(), 1e-13);
  EXPECT_LE(relative_error(gradient_of(gather(z, indices, 0), 0.2), gather(gradient_of(z, 0.2), indices, 0)), 1e-12);
}

TEST(OpsNtXent, IsSymmetricInTheViews) {
  const Tensor a = random_tensor({9, 6}, DType::f64, 1), b = random_tensor({9, 6}, DType::f64, 2);
  EXPECT_NEAR(ntxent(concat({a, b}, 0), 0.2).loss.item(), ntxent(concat({b, a}, 0), 0.2).loss.item(), 1e-13);
}

TEST(OpsNtXent, ScaleInvarianceMakesTheGradientOrthogonal) {
  const Tensor z = random_tensor({20, 6}, DType::f64, 1);
  EXPECT_NEAR(ntxent(scale(z, 7.5), 0.2).loss.item(), ntxent(z, 0.2).loss.item(), 1e-13);
  for (const double along : sum(mul(gradient_of(z, 0.2), z), 1).to_host<double>()) EXPECT_NEAR(along, 0, 1e-15);
}

TEST(OpsNtXent, StableAtLowTemperatures) {
  const Tensor z = random_tensor({300, 16}, DType::f64, 1);
  for (const double temperature : {0.01, 0.05}) {
    EXPECT_NEAR(ntxent(z, temperature).loss.item(), plain_ntxent(z, temperature).loss, 1e-10);
    EXPECT_LE(relative_error(gradient_of(z.to(DType::f32), temperature), gradient_of(z, temperature)), 1e-4);
  }
  // Opposite views: the positive's similarity is the smallest there is, 2 / temperature below the largest.
  const Tensor a = Tensor::full({4, 8}, 1, DType::f32, Device::cpu());
  const Tensor opposite = concat({a, neg(a)}, 0);
  EXPECT_NEAR(ntxent(opposite, 0.01).loss.item(), 200 + std::log(3), 1e-3);
  for (const double g : gradient_of(opposite, 0.01).to_host<double>()) EXPECT_TRUE(std::isfinite(g));
}

TEST(OpsNtXent, SameBitsWithAnyThreadsAndAccurateInEveryInstructionSet) {
  const test::OpCase large{"ntxent", {{610, 33}}, [](const auto& z) { return ntxent(z[0], 0.1).loss; }};
  test::for_each_isa([&] { check_large(large); });
}

TEST(OpsNtXent, KeepsNoMatrixOfSimilarities) {
  constexpr std::int64_t rows = 3000;
  Tensor z = random_tensor({rows, 8}, DType::f32, 1);
  Arena& memory = Device::cpu().memory();
  memory.reset_peak();
  const std::size_t before = memory.stats().live;
  backward(ntxent(z.requires_grad(), 0.5).loss);
  const std::size_t used = memory.stats().peak - before;
  EXPECT_GT(used, 0U);
  EXPECT_LT(used, rows * rows * sizeof(float) / 8);
}

TEST(OpsNtXent, NaNIsNotHidden) {
  Tensor z = random_tensor({8, 4}, DType::f32, 1);
  z.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(ntxent(z, 0.5).loss.item()));
}

TEST(OpsNtXent, ErrorsSayWhatIsWrong) {
  const Tensor z = random_tensor({4, 3}, DType::f32, 1);
  for (const double temperature : {0.0, -1.0, std::nan("")}) EXPECT_THROW(ntxent(z, temperature), InputError);
  EXPECT_THROW(ntxent(Tensor(), 0.5), InputError);
  EXPECT_THROW(ntxent(z.view({12}), 0.5), InputError);
  try {
    ntxent(z.rows(0, 3), 0.5);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(),
                 "ntxent: z holds the two views of N images as [2N, dim], row i + N being the positive of row i; z is "
                 "[3,3] f32 cpu");
  }
}

}  // namespace
}  // namespace kagami
