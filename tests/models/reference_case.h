#pragma once
// Runs a network the way tests/reference/README.md says and compares it with PyTorch's values.
#include <functional>
#include <memory>
#include <string>

#include "engine/module.h"
#include "engine/ops.h"

namespace kagami::test {

/// A network whose parameters are declared in a scope.
using Network = std::function<Tensor(const Tensor& x, const BatchNormOptions& norm)>;
using MakeNetwork = std::function<Network(const Scope& scope)>;

/// Relative Frobenius errors against PyTorch in f64.
struct ReferenceErrors {
  double loss = 0, h = 0, eval_h = 0;
  double gradient = 0;  ///< of all gradients together, estimated by the probes
  double running = 0;   ///< of all running statistics together, estimated by the probes
  double worst = 0;     ///< the largest of any one tensor (stored whole, or by its probes)
  std::string worst_name;
};

/// The case tests/reference/<name>.safetensors.
ReferenceErrors reference_errors(const std::string& name, const MakeNetwork& make, DType dtype);
/// PyTorch's own error in f32 of "h", "eval.h", "gradient_by_probes", "running"; 0 where the case has none.
double torch_f32_error(const std::string& name, const std::string& what);

}  // namespace kagami::test
