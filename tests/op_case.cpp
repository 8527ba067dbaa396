#include "tests/op_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "engine/ops.h"
#include "kernels/cpu/parallel.h"

namespace kagami::test {
namespace {

bool holds(const std::vector<int>& list, std::size_t index) {
  return std::find(list.begin(), list.end(), static_cast<int>(index)) != list.end();
}

std::vector<Tensor> make_inputs(const OpCase& c, DType dtype) {
  std::vector<Tensor> inputs;
  unsigned seed = 1;
  for (const Shape& shape : c.inputs) {
    Tensor t = random_tensor(shape, dtype, seed++, c.low, c.high);
    if (!holds(c.no_grad, inputs.size())) t.requires_grad();
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

/// Where and in which type a case runs; `rounded`: its numbers are first rounded to bf16.
struct Run {
  Device device = Device::cpu();
  DType dtype = DType::f32;
  bool rounded = false;
  Tensor number(const Tensor& drawn, DType as) const {
    return (rounded ? drawn.to(DType::bf16) : drawn).to(as).to(device);
  }
};

/// The output and the gradients. Leaves are never bf16: an op in bf16 gets them through a cast, parameters as they are.
std::vector<Tensor> results_of(const OpCase& c, const Run& run) {
  std::vector<Tensor> leaves, given;
  for (const Tensor& t : make_inputs(c, DType::f32)) {
    Tensor leaf = run.number(t, wide_of(run.dtype));
    if (t.wants_grad()) leaf.requires_grad();
    given.push_back(holds(c.parameters, leaves.size()) ? leaf : cast(leaf, run.dtype));
    leaves.push_back(leaf);
  }
  const Tensor y = c.op(given);
  std::vector<Tensor> results{y.clone()};
  if (!y.wants_grad()) return results;
  backward(y, run.number(random_tensor(y.shape(), DType::f32, 99), y.dtype()));
  for (const Tensor& t : leaves)
    if (t.wants_grad() && t.grad()) results.push_back(t.grad().clone());
  return results;
}

void check_f32(const OpCase& c) {
  const std::vector<Tensor> exact = results_of(c, {.dtype = DType::f64}), ours = results_of(c, {});
  ASSERT_EQ(ours.size(), exact.size()) << c.name;
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_LE(relative_error(ours[i], exact[i]), c.f32_tolerance) << c.name << ": f32 result " << i;
}

/// On a CUDA device, in one type, against the CPU's f64 with the same inputs.
void check_cuda(const OpCase& c, DType dtype, double tolerance) {
  const Run run{Device::cuda(0), dtype, dtype == DType::bf16};
  const std::vector<Tensor> exact = results_of(c, {.dtype = DType::f64, .rounded = run.rounded});
  const std::vector<Tensor> cuda = results_of(c, run), again = results_of(c, run);
  ASSERT_EQ(cuda.size(), exact.size()) << c.name << ' ' << dtype;
  for (std::size_t i = 0; i < cuda.size(); ++i) {
    EXPECT_LE(relative_error(cuda[i], exact[i]), tolerance) << c.name << ": CUDA " << dtype << " result " << i;
    EXPECT_EQ(cuda[i].to_host<float>(), again[i].to_host<float>())
        << c.name << ": two CUDA runs in " << dtype << " differ in result " << i;
  }
}

/// Output and gradients of x and the weight are within what tf32 rounds, and are rounded.
void check_tf32(const OpCase& c) {
  OpCase rounded = c;
  rounded.op = c.in_tf32;
  const std::vector<Tensor> exact = results_of(c, {.dtype = DType::f64});
  const std::vector<Tensor> cuda = results_of(rounded, {.device = Device::cuda(0)});
  ASSERT_EQ(cuda.size(), exact.size()) << c.name;
  for (std::size_t i = 0; i < cuda.size(); ++i) {
    const double error = relative_error(cuda[i], exact[i]);
    EXPECT_LE(error, 2e-3) << c.name << ": tf32 result " << i;
    if (i < 3) {
      EXPECT_GE(error, 1e-5) << c.name << ": result " << i << " was not computed in tf32";
    }
  }
}

void check_threads(const OpCase& c) {
  cpu::set_threads(1);
  const std::vector<Tensor> one = results_of(c, {});
  cpu::set_threads(3);
  const std::vector<Tensor> three = results_of(c, {});
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

OpCase with_parameters(OpCase c, std::vector<int> parameters) {
  c.parameters = std::move(parameters);
  return c;
}

OpCase with_weight(std::string name, std::vector<Shape> inputs,
                   std::function<Tensor(const std::vector<Tensor>&, const Weight&)> op) {
  const auto in = [op = std::move(op)](bool tf32) {
    return [op, tf32](const std::vector<Tensor>& x) {
      Weight w(x[1]);
      w.tf32 = tf32;
      return op(x, w);
    };
  };
  OpCase c{std::move(name), std::move(inputs), in(false)};
  c.in_tf32 = in(true);
  for (std::size_t i = 1; i < c.inputs.size(); ++i) c.parameters.push_back(static_cast<int>(i));
  return c;
}

void check_op(const OpCase& c) {
  SCOPED_TRACE(c.name);
  EXPECT_EQ(gradient_mismatch(c), "");
  check_large(c);
  check_accumulates(c);
  if (Device::cuda_count() == 0) return;
  check_cuda(c, DType::f32, c.f32_tolerance);
  check_cuda(c, DType::bf16, c.bf16_tolerance);
  if (c.in_tf32) check_tf32(c);
}

void check_large(const OpCase& c) {
  SCOPED_TRACE(c.name);
  check_f32(c);
  check_threads(c);
}

}  // namespace kagami::test
