// Checks the gradients of the two ops against differences of their values and, where there is a CUDA device (an
// emulated one, too), its values and gradients against those.
#include "own_ops.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "engine/ops.h"

using kagami::Tensor;

namespace {

using Loss = std::function<Tensor(const Tensor&)>;

/// Largest difference between d loss / d x and central differences, over all entries of x.
double gradient_error(const Loss& loss, std::vector<double> values, kagami::Shape shape) {
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

/// The loss and its gradient in x, computed on `device` in T.
template <class T>
std::vector<double> loss_and_gradient(const Loss& loss, const std::vector<double>& values, kagami::Shape shape,
                                      kagami::Device device) {
  Tensor x = Tensor::from(std::vector<T>(values.begin(), values.end()), shape, device);
  x.requires_grad();
  const Tensor result = loss(x);
  kagami::backward(result);
  const std::vector<T> gradient = x.grad().template to_host<T>();
  std::vector<double> all(gradient.begin(), gradient.end());
  all.push_back(result.item());
  return all;
}

/// How far the device's floats are from the CPU's doubles, relative to those above 1.
double device_error(const Loss& loss, const std::vector<double>& values, kagami::Shape shape, kagami::Device device) {
  const std::vector<double> ours = loss_and_gradient<float>(loss, values, shape, device);
  const std::vector<double> exact = loss_and_gradient<double>(loss, values, shape, kagami::Device::cpu());
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double error = std::abs(ours[i] - exact[i]) / std::max(1.0, std::abs(exact[i]));
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

bool passed(const char* what, const std::string& where, double error, double most) {
  std::printf("%s, %s: largest error %.2e\n", what, where.c_str(), error);
  return error <= most;
}

}  // namespace

int main() {
  constexpr int rows = 3, columns = 41;
  std::vector<double> values;
  for (int i = 0; i < rows * columns; ++i) values.push_back(std::sin(1.0 + 3.0 * i));
  const auto weights = [](const Tensor& x) {
    const std::vector<float> numbers{0.5F, -2, 1.5F};
    if (x.dtype() == kagami::DType::f32) return Tensor::from(numbers, {rows}, x.device());
    return Tensor::from(std::vector<double>(numbers.begin(), numbers.end()), {rows}, x.device());
  };
  const struct {
    const char* name;
    Loss loss;
  } cases[] = {{"softsign", [](const Tensor& x) { return sum(mul(x, softsign(x))); }},
               {"row_moments, both outputs",
                [&](const Tensor& x) {
                  const RowMoments m = row_moments(x);
                  return sum(mul(weights(x), mul(m.mean, m.deviation)));
                }},
               {"row_moments, one output and x itself",
                [&](const Tensor& x) { return add(sum(mul(weights(x), row_moments(x).deviation)), sum(mul(x, x))); }}};
  std::string why_none;
  const int devices = kagami::Device::cuda_count(&why_none);
  if (devices == 0) std::printf("no CUDA device: %s\n", why_none.c_str());
  bool ok = true;
  for (const auto& [name, loss] : cases) {
    ok &= passed(name, "gradients on the CPU", gradient_error(loss, values, {rows, columns}), 1e-7);
    for (int i = 0; i < devices; ++i) {
      const kagami::Device device = kagami::Device::cuda(i);
      ok &= passed(name, device.emulated() ? "CUDA emulated" : "CUDA",
                   device_error(loss, values, {rows, columns}, device), 1e-6);
    }
  }
  return ok ? 0 : 1;
}
