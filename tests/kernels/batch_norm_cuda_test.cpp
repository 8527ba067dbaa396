#if KAGAMI_HAS_CUDA
#include <cmath>
#include <random>
#include <vector>

#include "kernels/batch_norm.h"
#include "tests/kernels/cuda_case.h"

namespace kagami {
namespace {

using Values = std::vector<double>;

struct Case {
  std::int64_t rows;
  int channels, groups;
  bool relu, residual, batch_statistics = true;
};

constexpr double eps = 1e-5, momentum = 0.1;

template <class To, class From>
std::vector<To> as(const std::vector<From>& values) {
  std::vector<To> to;
  to.reserve(values.size());
  for (const From& v : values)
    to.push_back(static_cast<To>(static_cast<std::conditional_t<std::is_same_v<From, double>, float, Wide<From>>>(v)));
  return to;
}

/// Normal values that T holds exactly.
template <class T>
Values normal(std::int64_t count, unsigned seed, double mean = 0, double std = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> distribution(mean, std);
  Values values(static_cast<std::size_t>(count));
  for (double& v : values) v = distribution(generator);
  return as<double>(as<T>(values));
}

template <class T>
struct Inputs {
  Values x, residual, dy, gamma, beta, running_mean, running_var;
  explicit Inputs(const Case& t)
      : x(normal<T>(t.rows * t.channels, 1, 3, 2)),
        residual(normal<T>(t.rows * t.channels, 2)),
        dy(normal<T>(t.rows * t.channels, 3, 0.3)),
        gamma(normal<float>(t.channels, 4, 1, 0.3)),
        beta(normal<float>(t.channels, 5)),
        running_mean(normal<float>(t.channels, 6, 3)),
        running_var(normal<float>(t.channels, 7, 5, 0.5)) {}
};

struct Result {
  const char* name;
  Values values;
};
using Results = std::vector<Result>;

/// Memory as a back end sees it: vectors for the CPU.
template <class T>
class OnHost {
 public:
  explicit OnHost(std::vector<T> values) : values_(std::move(values)) {}
  explicit OnHost(std::size_t count) : values_(count) {}
  T* data() { return values_.data(); }
  std::vector<T> host() const { return values_; }

 private:
  std::vector<T> values_;
};

/// Forward and backward. In place: dx over x and the residual's gradient over dy, and ReLU's cut is read from a mask
/// where the back end has one; else both add to what is there.
template <class T, template <class> class Memory, class Device>
Results run(Device device, const Case& t, const Inputs<T>& in, bool in_place) {
  using W = Wide<T>;
  const BatchNormShape shape{t.rows, t.channels, t.groups};
  Memory<T> x(as<T>(in.x)), residual(as<T>(in.residual)), dy(as<T>(in.dy)), y(in.x.size());
  Memory<T> dx(as<T>(in.residual)), dresidual(as<T>(in.x));
  Memory<W> gamma(as<W>(in.gamma)), beta(as<W>(in.beta));
  Memory<W> mean(as<W>(in.running_mean)), var(as<W>(in.running_var));
  Memory<W> dgamma(as<W>(in.beta)), dbeta(in.beta.size());
  const std::size_t size = static_cast<std::size_t>(t.groups) * in.gamma.size();
  Memory<W> saved(5 * size);
  W* s = saved.data();
  const BatchNormSaved<T> parts{s, s + size, s + 2 * size, s + 3 * size, s + 4 * size};
  const BatchNormParameters<T> parameters{gamma.data(), beta.data(), mean.data(), var.data()};
  if (t.batch_statistics) {
    batch_norm_measure<T>(device, {shape, parameters, eps, momentum, RunningUpdate::in_order, parts}, x.data());
  } else {
    batch_norm_from_running<T>(device, t.channels, parameters, eps, parts);
  }
  Memory<std::uint8_t> mask(static_cast<std::size_t>(batch_norm_mask_bytes<T>(device, shape, residual.data())) + 1);
  const bool masked = in_place && t.residual && batch_norm_mask_bytes<T>(device, shape, residual.data()) > 0;
  batch_norm_apply<T>(device, shape, x.data(), parts, t.residual ? residual.data() : nullptr, t.relu, y.data(),
                      masked ? mask.data() : nullptr);
  BatchNormBackward<T> gradient{
      dy.data(), x.data(), t.residual && !masked ? y.data() : nullptr, t.relu, t.batch_statistics, {}, {}, {}, {}};
  gradient.mask = masked ? mask.data() : nullptr;
  const Accumulate accumulate = in_place ? Accumulate::no : Accumulate::yes;
  gradient.dx = {in_place ? x.data() : dx.data(), accumulate};
  gradient.dresidual = {in_place ? dy.data() : dresidual.data(), accumulate};
  gradient.dgamma = {dgamma.data(), Accumulate::yes};
  gradient.dbeta = {dbeta.data()};
  batch_norm_backward<T>(device, shape, gamma.data(), parts, gradient);
  const Values all = as<double>(saved.host());
  const auto part = [&](std::size_t i) {
    return Values(all.begin() + static_cast<std::ptrdiff_t>(i * size),
                  all.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
  };
  return {{"mean", part(0)},
          {"inverse_std", part(2)},
          {"scale", part(3)},
          {"shift", part(4)},
          {"y", as<double>(y.host())},
          {"running_mean", as<double>(mean.host())},
          {"running_var", as<double>(var.host())},
          {"dgamma", as<double>(dgamma.host())},
          {"dbeta", as<double>(dbeta.host())},
          {"dx", as<double>((in_place ? x : dx).host())},
          {"dresidual", as<double>((in_place ? dy : dresidual).host())}};
}

double distance(const Values& got, const Values& want) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(got[i] - want[i], 2);
    size += want[i] * want[i];
  }
  return std::sqrt(difference / size);
}

void expect_near(const Results& got, const Results& want, double tolerance) {
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(got[i].values.size(), want[i].values.size());
    const double error = distance(got[i].values, want[i].values);
    EXPECT_TRUE(error <= tolerance) << want[i].name << ": " << error;
  }
}

/// Against the CPU's kernels in double, on the same inputs.
template <class T>
void check_case(const Case& t, double tolerance) {
  SCOPED_TRACE(testing::Message() << t.rows << 'x' << t.channels << " groups " << t.groups << " relu " << t.relu
                                  << " residual " << t.residual);
  const Inputs<T> in(t);
  Inputs<double> wide(t);
  wide.x = in.x, wide.residual = in.residual, wide.dy = in.dy;
  wide.gamma = in.gamma, wide.beta = in.beta, wide.running_mean = in.running_mean, wide.running_var = in.running_var;
  Arena arena;
  for (const bool in_place : {false, true})
    expect_near(run<T, OnDevice>(test_cuda(), t, in, in_place), run<double, OnHost>(Cpu{&arena}, t, wide, in_place),
                tolerance);
}

TEST(BatchNormCuda, FloatAgreesWithTheCpuInDouble) {
  const Case cases[] = {{7, 3, 1, true, false},     {2100, 1, 1, false, false},    {600, 16, 2, true, true},
                        {64, 33, 2, true, false},   {130, 100, 1, false, true},    {96, 264, 3, true, true},
                        {40, 520, 2, false, false}, {50, 12, 1, true, true, false}};
  under_every_schedule([&] {
    for (const Case& t : cases) check_case<float>(t, 1e-6);
  });
}

TEST(BatchNormCuda, Bf16AgreesWithTheCpuOnRoundedInputs) {
  const Case cases[] = {{7, 3, 1, true, false},     {600, 16, 2, true, true}, {64, 33, 2, true, false},
                        {130, 100, 1, false, true}, {96, 264, 3, true, true}, {50, 12, 1, true, true, false}};
  under_every_schedule([&] {
    for (const Case& t : cases) check_case<bf16>(t, 5e-3);
  });
}

TEST(BatchNormCuda, SameBitsOnEveryNumberOfMultiprocessors) {
  const Case t{9000, 8, 2, true, true};
  const Inputs<float> in(t);
  Cuda device = test_cuda();
  const Results first = run<float, OnDevice>(device, t, in, false);
  for (const int multiprocessors : {1, 7, 132}) {
    device.multiprocessors = multiprocessors;
    const Results again = run<float, OnDevice>(device, t, in, false);
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].values, again[i].values) << first[i].name;
  }
}

TEST(BatchNormCuda, VarianceSurvivesALargeMean) {
  const std::int64_t rows = 3000;
  const int channels = 4;
  const Values x = normal<float>(rows * channels, 8, 10000, 1);
  double mean = 0, var = 0;  // of channel 1
  for (std::int64_t r = 0; r < rows; ++r) mean += x[static_cast<std::size_t>(r * channels + 1)] / rows;
  for (std::int64_t r = 0; r < rows; ++r)
    var += std::pow(x[static_cast<std::size_t>(r * channels + 1)] - mean, 2) / rows;
  const OnDevice<float> values(as<float>(x));
  const OnDevice<float> saved(5 * channels);
  float* s = saved.data();
  batch_norm_measure<float>(test_cuda(),
                            {{rows, channels},
                             {},
                             0,
                             momentum,
                             RunningUpdate::in_order,
                             {s, s + channels, s + 2 * channels, s + 3 * channels, s + 4 * channels}},
                            values.data());
  const double got = 1 / std::pow(static_cast<double>(saved.host()[2 * channels + 1]), 2);
  EXPECT_TRUE(std::abs(got / var - 1) <= 1e-6) << got << " against " << var;
}

TEST(BatchNormCuda, MeanUpdateAveragesTheGroups) {
  const Case t{12, 5, 3, false, false};
  const Inputs<double> in(t);
  Arena arena;
  OnHost<double> mean(in.running_mean), var(in.running_var), kept(std::size_t{5 * 15});
  const auto parts = [](auto* s) {
    return BatchNormSaved<std::decay_t<decltype(*s)>>{s, s + 15, s + 30, s + 45, s + 60};
  };
  batch_norm_measure<double>(
      Cpu{&arena},
      {{12, 5, 3}, {nullptr, nullptr, mean.data(), var.data()}, eps, momentum, RunningUpdate::mean, parts(kept.data())},
      in.x.data());
  const OnDevice<float> x(as<float>(in.x)), new_mean(as<float>(in.running_mean)), new_var(as<float>(in.running_var));
  const OnDevice<float> saved(5 * 15);
  batch_norm_measure<float>(test_cuda(),
                            {{12, 5, 3},
                             {nullptr, nullptr, new_mean.data(), new_var.data()},
                             eps,
                             momentum,
                             RunningUpdate::mean,
                             parts(saved.data())},
                            x.data());
  EXPECT_TRUE(distance(as<double>(new_mean.host()), mean.host()) <= 1e-6);
  EXPECT_TRUE(distance(as<double>(new_var.host()), var.host()) <= 1e-6);
}

TEST(BatchNormCuda, ReluKeepsNaN) {
  std::vector<float> x(3 * 17, 1.0F);
  x[20] = std::nanf("");
  const OnDevice<float> values(x), ones(std::vector<float>(17, 1.0F)), zeros(std::vector<float>(17, 0.0F)), y(x.size());
  batch_norm_apply<float>(test_cuda(), {3, 17}, values.data(),
                          {zeros.data(), zeros.data(), ones.data(), ones.data(), zeros.data()}, nullptr, true,
                          y.data());
  EXPECT_TRUE(std::isnan(y.host()[20]));
  EXPECT_EQ(y.host()[0], 1.0F);
}

}  // namespace
}  // namespace kagami
#endif
