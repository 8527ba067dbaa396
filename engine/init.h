#pragma once
// Initial values of parameters, drawn from (seed, name): a layer more changes no other layer's values.
#include <cstdint>
#include <string_view>

#include "engine/tensor.h"

namespace kagami {

/// A rule for initial values.
struct Init {
  enum class Kind : std::uint8_t { constant, uniform, normal };
  Kind kind = Kind::constant;
  double scale = 0;  ///< the constant; the bound of U(-bound, bound); the standard deviation

  static Init zeros() { return constant(0); }
  static Init ones() { return constant(1); }
  static Init constant(double value) { return {Kind::constant, value}; }
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  /// Convolution weights [k,r,s,c] before a ReLU: N(0, 2 / (k r s)); He et al. 2015, mode fan_out.
  static Init kaiming_normal_fan_out(const Shape& krsc);
  /// PyTorch's default for the weight and the bias of a linear layer: U(-1/sqrt(inputs), 1/sqrt(inputs)).
  static Init linear_default(std::int64_t inputs);
};

/// Fills `tensor` (f32 or f64) by the rule. The values depend on seed, name and position alone, and are the same in
/// both types up to rounding.
void initialize(const Tensor& tensor, const Init& init, std::uint64_t seed, std::string_view name);

}  // namespace kagami
