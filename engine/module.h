#pragma once
// How the parts of a network are built. A part is a plain struct: its constructor declares parameters through a Scope,
// its forward() calls ops. References to handles are filled by Params::allocate().
//
//   struct Block {
//     explicit Block(const Scope& scope) : first(scope.child("0"), 64, 256), second(scope.child("2"), 256, 256) {}
//     Tensor forward(const Tensor& x) const { return second.forward(relu(first.forward(x))); }
//     Linear first, second;
//   };
#include <string>

#include "engine/ops.h"
#include "engine/params.h"

namespace kagami {

/// Where the parameters of a part go: the Params, the prefix of their names, their group.
class Scope {
 public:
  explicit Scope(Params& params, std::string prefix = "", int group = 0)
      : params_(&params), prefix_(std::move(prefix)), group_(group) {}

  /// The scope of a part: Scope(params).child("layer1").child("0") names "layer1.0.weight".
  Scope child(const std::string& name) const { return Scope(*params_, full(name), group_); }
  Scope in_group(int group) const { return Scope(*params_, prefix_, group); }

  Weight& weight(const std::string& name, const Shape& shape, const Init& init) const {
    return params_->weight(full(name), shape, init, group_);
  }
  Tensor& parameter(const std::string& name, const Shape& shape, const Init& init) const {
    return params_->parameter(full(name), shape, init, group_);
  }
  Tensor& buffer(const std::string& name, const Shape& shape, const Init& init) const {
    return params_->buffer(full(name), shape, init);
  }

 private:
  std::string full(const std::string& name) const { return prefix_.empty() ? name : prefix_ + '.' + name; }
  Params* params_;
  std::string prefix_;
  int group_;
};

/// y = x w^T + bias with PyTorch's names and initial values.
struct Linear {
  Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, bool with_bias = true)
      : weight(scope.weight("weight", {outputs, inputs}, Init::linear_default(inputs))),
        bias(with_bias ? &scope.parameter("bias", {outputs}, Init::linear_default(inputs)) : nullptr) {}
  Tensor forward(const Tensor& x, bool relu = false) const { return linear(x, weight, bias ? *bias : Tensor(), relu); }

  Weight& weight;
  Tensor* bias;  ///< null where there is none
};

/// Whether batch norm uses the batch's statistics and updates the running ones, or uses the running ones.
enum class Mode : std::uint8_t { train, eval };

}  // namespace kagami
