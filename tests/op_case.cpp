#include "tests/op_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kernels/cpu/parallel.h"

namespace kagami::test {
namespace {

std::vector<Tensor> make_inputs(const OpCase& c, DType dtype) {
  std::vector<Tensor> inputs;
  unsigned seed = 1;
  for (const Shape& shape : c.inputs) {
    Tensor t = random_tensor(shape, dtype, seed++, c.low, c.high);
    const int index = static_cast<int>(inputs.size());
    if (std::find(c.no_grad.begin(), c.no_grad.end(), index) == c.no_grad.end()) t.requires_grad();
    inputs.push_back(t);
  }
  return inputs;
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) sum += a.data<double>()[i] * b.data<double>()[i];
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

/// The output and the gradients of one run in f32.
std::vector<Tensor> run_f32(const OpCase& c) {
  std::vector<Tensor> inputs = make_inputs(c, DType::f32);
  Tensor y = c.op(inputs);
  std::vector<Tensor> results{y.clone()};
  if (!y.wants_grad()) return results;
  backward(y, random_tensor(y.shape(), DType::f32, 99));
  for (const Tensor& t : inputs)
    if (t.wants_grad() && t.grad()) results.push_back(t.grad().clone());
  return results;
}

/// The same in f64 from the same inputs.
std::vector<Tensor> run_f64(const OpCase& c) {
  std::vector<Tensor> exact_inputs;
  for (const Tensor& t : make_inputs(c, DType::f32)) {
    Tensor u = t.to(DType::f64);
    if (t.wants_grad()) u.requires_grad();
    exact_inputs.push_back(u);
  }
  Tensor y = c.op(exact_inputs);
  std::vector<Tensor> exact{y.clone()};
  if (y.wants_grad()) {
    backward(y, random_tensor(y.shape(), DType::f32, 99).to(DType::f64));
    for (const Tensor& t : exact_inputs)
      if (t.wants_grad() && t.grad()) exact.push_back(t.grad());
  }
  return exact;
}

void check_f32(const OpCase& c) {
  const std::vector<Tensor> exact = run_f64(c), ours = run_f32(c);
  ASSERT_EQ(ours.size(), exact.size()) << c.name;
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_LE(relative_error(ours[i], exact[i]), c.f32_tolerance) << c.name << ": f32 result " << i;
}

/// The output and the gradients in f32 on a CUDA device.
std::vector<Tensor> run_cuda(const OpCase& c) {
  std::vector<Tensor> inputs;
  for (const Tensor& t : make_inputs(c, DType::f32)) {
    Tensor u = t.to(Device::cuda(0));
    if (t.wants_grad()) u.requires_grad();
    inputs.push_back(u);
  }
  const Tensor y = c.op(inputs);
  std::vector<Tensor> results{y.clone()};
  if (!y.wants_grad()) return results;
  const Tensor dy = random_tensor(y.shape(), DType::f32, 99).to(Device::cuda(0));
  backward(y, dy);
  for (const Tensor& t : inputs)
    if (t.wants_grad() && t.grad()) results.push_back(t.grad().clone());
  return results;
}

void check_cuda(const OpCase& c) {
  if (Device::cuda_count() == 0) return;
  const std::vector<Tensor> exact = run_f64(c), cuda = run_cuda(c), again = run_cuda(c);
  ASSERT_EQ(cuda.size(), exact.size()) << c.name;
  for (std::size_t i = 0; i < cuda.size(); ++i) {
    EXPECT_LE(relative_error(cuda[i], exact[i]), c.f32_tolerance) << c.name << ": CUDA result " << i;
    EXPECT_EQ(cuda[i].to_host<float>(), again[i].to_host<float>())
        << c.name << ": two CUDA runs differ in result " << i;
  }
}

void check_threads(const OpCase& c) {
  cpu::set_threads(1);
  const std::vector<Tensor> one = run_f32(c);
  cpu::set_threads(3);
  const std::vector<Tensor> three = run_f32(c);
  cpu::set_threads(0);
  ASSERT_EQ(one.size(), three.size());
  for (std::size_t i = 0; i < one.size(); ++i)
    EXPECT_TRUE(same_bits(one[i], three[i])) << c.name << ": result " << i << " depends on the number of threads";
}

void check_accumulates(const OpCase& c) {
  std::vector<Tensor> inputs = make_inputs(c, DType::f64);
  const Tensor dy = random_tensor(c.op(inputs).shape(), DType::f64, 99);
  if (!c.op(inputs).wants_grad()) return;
  backward(c.op(inputs), dy);
  std::vector<Tensor> once;
  for (const Tensor& t : inputs) once.push_back(t.grad() ? t.grad().clone() : Tensor());
  backward(c.op(inputs), dy);
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!once[k]) continue;
    for (std::int64_t i = 0; i < once[k].numel(); ++i) {
      const double want = 2 * once[k].data<double>()[i], got = inputs[k].grad().data<double>()[i];
      ASSERT_TRUE(std::abs(got - want) <= 1e-12 * (1 + std::abs(want)))
          << c.name << ": a second backward does not add to the gradient of input " << k;
    }
  }
}

}  // namespace

Tensor random_tensor(const Shape& shape, DType dtype, unsigned seed, double low, double high) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& v : values) v = uniform(generator);
  return Tensor::from(values, shape, Device::cpu()).to(dtype);
}

std::vector<Device> every_device() {
  std::vector<Device> devices{Device::cpu()};
  if (Device::cuda_count() > 0) devices.push_back(Device::cuda(0));
  return devices;
}

double relative_error(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  const std::vector<double> x = a.to_host<double>(), y = b.to_host<double>();
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - y[i]) * (x[i] - y[i]);
    size += y[i] * y[i];
  }
  return size > 0 ? std::sqrt(difference / size) : std::sqrt(difference);
}

std::string gradient_mismatch(const OpCase& c) {
  constexpr double step = 1e-5;
  std::vector<Tensor> inputs = make_inputs(c, DType::f64);
  Tensor y = c.op(inputs);
  const Tensor dy = random_tensor(y.shape(), DType::f64, 99);
  backward(y, dy);
  std::int64_t compared = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!inputs[k].wants_grad()) continue;
    if (!inputs[k].grad()) return c.name + text(": no gradient reached input ", k);
    for (std::int64_t i = 0; i < inputs[k].numel(); ++i, ++compared) {
      double& value = inputs[k].data<double>()[i];
      const double original = value;
      value = original + step;
      const double up = dot(c.op(inputs), dy);
      value = original - step;
      const double down = dot(c.op(inputs), dy);
      value = original;
      const double numeric = (up - down) / (2 * step), analytic = inputs[k].grad().data<double>()[i];
      if (!(std::abs(numeric - analytic) <= c.tolerance * (1 + std::abs(numeric))))
        return c.name + text(": input ", k, "[", i, "]: backward gives ", analytic, ", finite differences ", numeric);
    }
  }
  return compared > 0 ? "" : c.name + ": nothing was compared";
}

void check_op(const OpCase& c) {
  SCOPED_TRACE(c.name);
  EXPECT_EQ(gradient_mismatch(c), "");
  check_large(c);
  check_accumulates(c);
  check_cuda(c);
}

void check_large(const OpCase& c) {
  SCOPED_TRACE(c.name);
  check_f32(c);
  check_threads(c);
}

}  // namespace kagami::test
