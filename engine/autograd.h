#pragma once
// Reverse-mode differentiation. An op computes its value, then calls record() with a function that adds its gradients.
#include <functional>
#include <string_view>
#include <vector>

#include "engine/tensor.h"

namespace kagami {

/// The gradients an op's backward function produces, one per input.
class Gradients {
 public:
  /// Whether input i needs a gradient.
  bool wants(int i) const { return slots_[i].wanted; }

  /// Where a kernel writes the gradient of input i, and whether it overwrites or adds.
  struct Target {
    Tensor tensor;
    Accumulate accumulate;
  };
  /// Call once per backward, only where wants(i): memory of the input's shape, or a gradient already there to add into.
  Target target(int i);
  /// Hands over a gradient computed elsewhere (it may share memory with dy). It is added to what is there.
  void add(int i, const Tensor& gradient);
  /// The same for a gradient that is zero outside rows [first, first + count) of the leading axis.
  void add_rows(int i, std::int64_t first, std::int64_t count, const Tensor& gradient);

 private:
  struct Slot {
    bool wanted = false;
    bool leaf = false;
    Tensor* value = nullptr;  // where the gradient of this input is gathered; empty before the first
    Shape shape;
    DType dtype{};
    Device device;
  };
  Slot& slot(int i);
  std::vector<Slot> slots_;
  std::string_view op_;
  friend struct GraphAccess;
};

using Backward = std::function<void(const Tensor& dy, Gradients& d)>;
/// dys[i] is empty where output i received no gradient.
using BackwardOfMany = std::function<void(const std::vector<Tensor>& dys, Gradients& d)>;

/// Puts `output` into the graph when an input wants a gradient and gradients are enabled; returns it. `backward` may
/// capture detached tensors only: a live output would own itself.
Tensor record(std::string_view op, const std::vector<Tensor>& inputs, Tensor output, Backward backward);
/// The same for an op with several outputs.
std::vector<Tensor> record(std::string_view op, const std::vector<Tensor>& inputs, std::vector<Tensor> outputs,
                           BackwardOfMany backward);
/// True when record() would add a node for these inputs: an op may then save what its backward needs.
bool recording(const std::vector<Tensor>& inputs);

/// Accumulates d loss / d leaf into every leaf's grad(). `loss` has one element. Runs each node once, in reverse order
/// of creation, and frees it. First order only; a graph can be walked once.
void backward(const Tensor& loss);
/// The same for an output of any shape, given d loss / d output.
void backward(const Tensor& output, const Tensor& gradient);

/// While one lives (on this thread), record() returns its output unchanged.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
};
bool grad_enabled();

}  // namespace kagami
