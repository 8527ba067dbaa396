#include "kernels/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>
#include "tests/each_isa.h"

namespace kagami {
namespace {

using Values = std::vector<double>;

Values normal(std::int64_t count, unsigned seed, double mean = 0, double std = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(static_cast<float>(mean), static_cast<float>(std));
  Values values(static_cast<std::size_t>(count));
  for (double& v : values) v = distribution(generator);
  return values;
}

struct Case {
  std::int64_t rows;
  int channels, groups;
  bool relu, residual;
};

/// Everything one forward and backward gives, as doubles.
struct Results {
  Values mean, inverse_std, y, running_mean, running_var, dx, dresidual, dgamma, dbeta;
};

constexpr double eps = 1e-5, momentum = 0.1;

struct Inputs {
  Values x, residual, dy, gamma, beta, running_mean, running_var;
  explicit Inputs(const Case& t)
      : x(normal(t.rows * t.channels, 1, 3, 2)),
        residual(normal(t.rows * t.channels, 2)),
        dy(normal(t.rows * t.channels, 3, 0.3)),
        gamma(normal(t.channels, 4, 1, 0.3)),
        beta(normal(t.channels, 5)),
        running_mean(normal(t.channels, 6)),
        running_var(normal(t.channels, 7, 5, 0.5)) {}
};

/// The definition, in double: two passes over every group and channel, the gradient of Ioffe and Szegedy 2015.
Results reference(const Case& t, const Inputs& in) {
  const std::size_t channels = static_cast<std::size_t>(t.channels), groups = static_cast<std::size_t>(t.groups);
  const std::size_t rows = static_cast<std::size_t>(t.rows) / groups;
  Results out{Values(groups * channels), Values(groups * channels), in.x, in.running_mean, in.running_var, in.x, in.dy,
              Values(channels),          Values(channels)};
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t c = 0; c < channels; ++c) {
      auto at = [&](std::size_t row) { return (g * rows + row) * channels + c; };
      double mean = 0, var = 0, sum_g = 0, sum_gx = 0;
      for (std::size_t r = 0; r < rows; ++r) mean += in.x[at(r)] / static_cast<double>(rows);
      for (std::size_t r = 0; r < rows; ++r) var += std::pow(in.x[at(r)] - mean, 2) / static_cast<double>(rows);
      const double inverse_std = 1 / std::sqrt(var + eps), n = static_cast<double>(rows);
      out.mean[g * channels + c] = mean;
      out.inverse_std[g * channels + c] = inverse_std;
      out.running_mean[c] += momentum * (mean - out.running_mean[c]);
      out.running_var[c] += momentum * (var * n / (n - 1) - out.running_var[c]);
      for (std::size_t r = 0; r < rows; ++r) {
        const double normalised = (in.x[at(r)] - mean) * inverse_std;
        double y = in.gamma[c] * normalised + in.beta[c] + (t.residual ? in.residual[at(r)] : 0);
        const double g_here = t.relu && !(y > 0) ? 0 : in.dy[at(r)];
        out.y[at(r)] = t.relu && y < 0 ? 0 : y;
        out.dresidual[at(r)] = g_here;
        sum_g += g_here;
        sum_gx += g_here * normalised;
      }
      out.dgamma[c] += sum_gx;
      out.dbeta[c] += sum_g;
      for (std::size_t r = 0; r < rows; ++r)
        out.dx[at(r)] = in.gamma[c] * inverse_std *
                        (out.dresidual[at(r)] - sum_g / n - (in.x[at(r)] - mean) * inverse_std * sum_gx / n);
    }
  return out;
}

template <class T>
std::vector<T> as(const Values& values) {
  return {values.begin(), values.end()};
}
template <class T>
Values doubles(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

template <class T>
Results run(const Case& t, const Inputs& in, bool in_place) {
  Arena arena;
  const Cpu device{&arena};
  const BatchNormShape shape{t.rows, t.channels, t.groups};
  std::vector<T> x = as<T>(in.x), residual = as<T>(in.residual), dy = as<T>(in.dy), gamma = as<T>(in.gamma);
  std::vector<T> beta = as<T>(in.beta), running_mean = as<T>(in.running_mean), running_var = as<T>(in.running_var);
  const std::size_t size = static_cast<std::size_t>(t.groups) * gamma.size();
  std::vector<T> saved(5 * size), y(x.size()), dx(x.size()), dresidual(x.size());
  const BatchNormSaved<T> parts{saved.data(), &saved[size], &saved[2 * size], &saved[3 * size], &saved[4 * size]};
  batch_norm_measure<T>(device,
                        {shape,
                         {gamma.data(), beta.data(), running_mean.data(), running_var.data()},
                         eps,
                         momentum,
                         RunningUpdate::in_order,
                         parts},
                        x.data());
  batch_norm_apply(device, shape, x.data(), parts, t.residual ? residual.data() : nullptr, t.relu, y.data());
  std::vector<T> dgamma(gamma.size(), T(1)), dbeta(gamma.size());
  BatchNormBackward<T> gradient{dy.data(), x.data(), t.residual ? y.data() : nullptr, t.relu, true, {}, {}, {}, {}};
  gradient.dx = {in_place ? x.data() : dx.data()};
  gradient.dresidual = {in_place ? dy.data() : dresidual.data()};
  gradient.dgamma = {dgamma.data(), Accumulate::yes};
  gradient.dbeta = {dbeta.data()};
  batch_norm_backward(device, shape, gamma.data(), parts, gradient);
  for (T& v : dgamma) v -= 1;
  return {doubles(std::vector<T>(saved.begin(), saved.begin() + static_cast<std::ptrdiff_t>(size))),
          doubles(std::vector<T>(&saved[2 * size], &saved[3 * size])),
          doubles(y),
          doubles(running_mean),
          doubles(running_var),
          doubles(in_place ? x : dx),
          doubles(in_place ? dy : dresidual),
          doubles(dgamma),
          doubles(dbeta)};
}

void expect_near(const Values& got, const Values& want, double tolerance, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(got[i] - want[i], 2);
    size += want[i] * want[i];
  }
  EXPECT_TRUE(std::sqrt(difference / size) <= tolerance) << what << ": " << std::sqrt(difference / size);
}

void expect_near(const Results& got, const Results& want, double tolerance) {
  expect_near(got.mean, want.mean, tolerance, "mean");
  expect_near(got.inverse_std, want.inverse_std, tolerance, "inverse_std");
  expect_near(got.y, want.y, tolerance, "y");
  expect_near(got.running_mean, want.running_mean, tolerance, "running_mean");
  expect_near(got.running_var, want.running_var, tolerance, "running_var");
  expect_near(got.dx, want.dx, 3 * tolerance, "dx");
  expect_near(got.dresidual, want.dresidual, tolerance, "dresidual");
  expect_near(got.dgamma, want.dgamma, 3 * tolerance, "dgamma");
  expect_near(got.dbeta, want.dbeta, 3 * tolerance, "dbeta");
}

TEST(BatchNorm, AgreesWithTheDefinition) {
  const Case cases[] = {{9, 1, 1, false, false},   {7, 3, 1, true, false},    {300, 16, 1, true, true},
                        {64, 33, 2, true, false},  {5000, 16, 2, true, true}, {130, 100, 1, false, true},
                        {700, 64, 1, true, false}, {96, 512, 3, true, true},  {40, 2048, 2, false, false}};
  for (const Case& t : cases) {
    SCOPED_TRACE(testing::Message() << t.rows << 'x' << t.channels << " groups " << t.groups << " relu " << t.relu
                                    << " residual " << t.residual);
    const Inputs in(t);
    const Results want = reference(t, in);
    test::for_each_isa([&] {
      expect_near(run<double>(t, in, false), want, 1e-13);
      expect_near(run<double>(t, in, true), want, 1e-13);
      expect_near(run<float>(t, in, false), want, 4e-7);
      expect_near(run<float>(t, in, true), want, 4e-7);
    });
  }
}

TEST(BatchNorm, VarianceSurvivesALargeMean) {
  const std::int64_t rows = 20000;
  const int channels = 16;
  Values x = normal(rows * channels, 8, 0, 1);
  std::vector<float> shifted(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    shifted[i] = static_cast<float>(x[i] + 1000);
    x[i] = shifted[i];
  }
  double mean = 0, var = 0;  // of channel 0
  for (std::int64_t r = 0; r < rows; ++r) mean += x[static_cast<std::size_t>(r * channels)] / rows;
  for (std::int64_t r = 0; r < rows; ++r) var += std::pow(x[static_cast<std::size_t>(r * channels)] - mean, 2) / rows;
  test::for_each_isa([&] {
    Arena arena;
    std::vector<float> saved(5 * channels);
    batch_norm_measure<float>(
        Cpu{&arena},
        {{rows, channels},
         {},
         0,
         momentum,
         RunningUpdate::in_order,
         {saved.data(), &saved[channels], &saved[2 * channels], &saved[3 * channels], &saved[4 * channels]}},
        shifted.data());
    const double got = 1 / std::pow(static_cast<double>(saved[2 * channels]), 2);
    EXPECT_TRUE(std::abs(got / var - 1) <= 1e-5) << got << " against " << var;
  });
}

TEST(BatchNorm, MeanUpdateAveragesTheGroups) {
  const Case t{12, 5, 3, false, false};
  const Inputs in(t);
  Arena arena;
  std::vector<double> x = in.x, running_mean = in.running_mean, running_var = in.running_var, saved(5 * 15);
  batch_norm_measure<double>(Cpu{&arena},
                             {{12, 5, 3},
                              {nullptr, nullptr, running_mean.data(), running_var.data()},
                              eps,
                              momentum,
                              RunningUpdate::mean,
                              {saved.data(), &saved[15], &saved[30], &saved[45], &saved[60]}},
                             x.data());
  for (std::size_t c = 0; c < 5; ++c) {
    double mean = 0, var = 0;
    for (std::size_t g = 0; g < 3; ++g) {
      mean += saved[g * 5 + c] / 3;
      var += (1 / std::pow(saved[30 + g * 5 + c], 2) - eps) * 4 / 3 / 3;  // unbiased: 4 rows a group
    }
    EXPECT_NEAR(running_mean[c], 0.9 * in.running_mean[c] + 0.1 * mean, 1e-12);
    EXPECT_NEAR(running_var[c], 0.9 * in.running_var[c] + 0.1 * var, 1e-12);
  }
}

TEST(BatchNorm, ReluKeepsNaN) {
  Arena arena;
  test::for_each_isa([&] {
    std::vector<float> x(3 * 17, 1.0F), ones(17, 1.0F), zeros(17, 0.0F), y(x.size());
    x[20] = x[16] = std::nanf("");
    batch_norm_apply<float>(Cpu{&arena}, {3, 17}, x.data(),
                            {zeros.data(), zeros.data(), ones.data(), ones.data(), zeros.data()}, nullptr, true,
                            y.data());
    EXPECT_TRUE(std::isnan(y[20]) && std::isnan(y[16]));
    EXPECT_EQ(y[0], 1.0F);
  });
}

}  // namespace
}  // namespace kagami
