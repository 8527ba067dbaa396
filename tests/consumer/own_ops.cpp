// Checks the gradients of the two ops against differences of their values.
#include "own_ops.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "engine/ops.h"

using kagami::Tensor;

namespace {

/// Largest difference between d loss / d x and central differences, over all entries of x.
double gradient_error(const std::function<Tensor(const Tensor&)>& loss, std::vector<double> values,
                      kagami::Shape shape) {
  const kagami::Device cpu = kagami::Device::cpu();
  Tensor x = Tensor::from(values, shape, cpu);
  x.requires_grad();
  kagami::backward(loss(x));
  const std::vector<double> gradient = x.grad().to_host<double>();
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = [&](double step) {
      std::vector<double> moved = values;
      moved[i] += step;
      return loss(Tensor::from(moved, shape, cpu)).item();
    };
    const double error = std::abs(gradient[i] - (at(1e-6) - at(-1e-6)) / 2e-6);
    if (!(error <= worst)) worst = error;  // keeps a NaN
  }
  return worst;
}

bool passed(const char* what, double error) {
  std::printf("%s: largest gradient error %.2e\n", what, error);
  return error <= 1e-7;
}

}  // namespace

int main() {
  std::vector<double> values;
  for (int i = 0; i < 12; ++i) values.push_back(std::sin(1.0 + 3.0 * i));
  const kagami::Shape shape{3, 4};
  const Tensor weights = Tensor::from(std::vector<double>{0.5, -2, 1.5}, {3}, kagami::Device::cpu());
  bool ok = passed("softsign", gradient_error([](const Tensor& x) { return sum(mul(x, softsign(x))); }, values, shape));
  ok &= passed("row_moments, both outputs", gradient_error(
                                                [&](const Tensor& x) {
                                                  const RowMoments m = row_moments(x);
                                                  return sum(mul(weights, mul(m.mean, m.deviation)));
                                                },
                                                values, shape));
  ok &= passed(
      "row_moments, one output and x itself",
      gradient_error([&](const Tensor& x) { return add(sum(mul(weights, row_moments(x).deviation)), sum(mul(x, x))); },
                     values, shape));
  return ok ? 0 : 1;
}
