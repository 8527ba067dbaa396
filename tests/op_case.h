#pragma once
// One OpCase gives an op its checks: gradients by central differences in f64 with a random upstream gradient, f32
// against f64, the same bits with any number of threads, accumulation into gradients that are already there, and on
// CUDA, where there is a device, f32, bf16 and, of products with weights, tf32 against the CPU's f64, the same bits
// twice.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/autograd.h"
#include "engine/tensor.h"
#include "engine/weight.h"

namespace kagami::test {

struct OpCase {
  std::string name;
  std::vector<Shape> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> op;
  double low = -2, high = 2;         ///< inputs are uniform in [low, high]
  double tolerance = 2e-7;           ///< of the gradient check, relative to 1 + |value|
  double f32_tolerance = 2e-5;       ///< Frobenius, f32 against f64
  std::vector<int> no_grad = {};     ///< inputs that take no gradient (masks)
  std::vector<int> parameters = {};  ///< inputs that stay f32 where the others are bf16 (weights, biases)
  double bf16_tolerance = 5e-3;      ///< Frobenius, bf16 against f64 from the same rounded inputs
  std::function<Tensor(const std::vector<Tensor>&)> in_tf32 = {};  ///< op where its products round to tf32
};

/// The case with these inputs as its parameters.
OpCase with_parameters(OpCase c, std::vector<int> parameters);

/// A case of an op that multiplies inputs[0] with a weight, inputs[1]: op(inputs, weight). All after the first are
/// parameters.
OpCase with_weight(std::string name, std::vector<Shape> inputs,
                   std::function<Tensor(const std::vector<Tensor>&, const Weight&)> op);

/// Uniform values, the same for a seed in every type.
Tensor random_tensor(const Shape& shape, DType dtype, unsigned seed, double low = -1, double high = 1);

/// ||a - b|| / ||b|| over all elements, as doubles; NaN when either holds one, infinite when shapes differ.
double relative_error(const Tensor& a, const Tensor& b);

/// Empty when backward() agrees with central differences, else one line saying where it does not.
std::string gradient_mismatch(const OpCase& c);

/// The CPU, and the first CUDA device where there is one.
std::vector<Device> every_device();

/// All checks of a case, as GoogleTest failures.
void check_op(const OpCase& c);

/// f32 against f64 and the same bits with any number of threads: for shapes too large for finite differences.
void check_large(const OpCase& c);

}  // namespace kagami::test
