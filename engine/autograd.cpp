#include "engine/autograd.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "engine/in_place.h"
#include "engine/tensor_impl.h"
#include "engine/work.h"

namespace kagami {

/// One op in the graph. It knows its inputs by where their gradients go, and holds no value but what `backward` saved.
struct Node {
  struct Edge {
    bool wanted = false;
    std::shared_ptr<Node> node;        // the op that made the input, or
    std::shared_ptr<TensorImpl> leaf;  // the leaf it is
    int output = 0;
    Shape shape;
    DType dtype{};
    Device device;
  };
  std::string op;
  std::uint64_t sequence = 0;
  std::vector<Edge> inputs;
  std::vector<Tensor> gradients;  // d loss / d output, while backward() is on its way here
  BackwardOfMany backward;

  bool has_gradient() const {
    return std::any_of(gradients.begin(), gradients.end(), [](const Tensor& g) { return bool(g); });
  }
  ~Node();
};

namespace {

thread_local int no_grad_depth = 0;
std::atomic<std::uint64_t> next_sequence{0};

/// A graph dropped without backward() is taken apart here one node at a time: recursion would run as deep as the graph.
void drop_iteratively(std::vector<Node::Edge>& edges) {
  std::vector<std::shared_ptr<Node>> pending;
  for (auto& edge : edges)
    if (edge.node) pending.push_back(std::move(edge.node));
  while (!pending.empty()) {
    const std::shared_ptr<Node> node = std::move(pending.back());
    pending.pop_back();
    if (node.use_count() > 1) continue;
    node->backward = nullptr;
    for (auto& edge : node->inputs)
      if (edge.node) pending.push_back(std::move(edge.node));
  }
}

/// Makes the gradient kept in `value` safe to write: one that shares memory with another tensor is copied first.
void own(Tensor& value, bool leaf) {
  if (!leaf && !value.solely_owned()) value = value.clone();
}

}  // namespace

Node::~Node() { drop_iteratively(inputs); }

Gradients GraphAccess::make_gradients(Node& node) {
  Gradients d;
  d.op_ = node.op;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    Node::Edge& edge = node.inputs[i];
    Gradients::Slot slot{edge.wanted, bool(edge.leaf), nullptr, edge.shape, edge.dtype, edge.device};
    if (edge.leaf) {
      slot.value = &edge.leaf->grad;
    } else if (edge.node) {
      slot.value = &edge.node->gradients[static_cast<std::size_t>(edge.output)];
    }
    d.slots_.push_back(slot);
  }
  return d;
}

Gradients::Slot& Gradients::slot(int i) {
  check(i >= 0 && i < static_cast<int>(slots_.size()), op_, ": backward asked for input ", i, " of ", slots_.size());
  Slot& s = slots_[static_cast<std::size_t>(i)];
  check(s.wanted, op_, ": backward produced a gradient of input ", i, ", which wants none");
  return s;
}

Gradients::Target Gradients::target(int i) {
  Slot& s = slot(i);
  if (!*s.value) {
    *s.value = Tensor::empty(s.shape, s.dtype, s.device);
    return {s.value->detach(), Accumulate::no};
  }
  own(*s.value, s.leaf);
  return {s.value->detach(), Accumulate::yes};
}

void Gradients::add(int i, const Tensor& gradient) {
  Slot& s = slot(i);
  check(gradient.shape() == s.shape && gradient.dtype() == s.dtype, op_, ": the gradient of input ", i, " is ",
        describe(gradient), " but the input is ", s.shape, ' ', s.dtype);
  if (!*s.value) {
    *s.value = s.leaf ? gradient.clone() : gradient.detach();
    return;
  }
  own(*s.value, s.leaf);
  add_values(*s.value, gradient);
}

void Gradients::add_rows(int i, std::int64_t first, std::int64_t count, const Tensor& gradient) {
  Slot& s = slot(i);
  if (!*s.value) *s.value = Tensor::zeros(s.shape, s.dtype, s.device);
  own(*s.value, s.leaf);
  add_values(s.value->detach().rows(first, count), gradient);
}

NoGrad::NoGrad() { ++no_grad_depth; }
NoGrad::~NoGrad() { --no_grad_depth; }
bool grad_enabled() { return no_grad_depth == 0; }

bool recording(const std::vector<Tensor>& inputs) {
  return grad_enabled() && std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.wants_grad(); });
}

std::vector<Tensor> record(std::string_view op, const std::vector<Tensor>& inputs, std::vector<Tensor> outputs,
                           BackwardOfMany backward) {
  note_op(op);
  if (!recording(inputs)) return outputs;
  auto node = std::make_shared<Node>();
  node->op = op;
  node->sequence = ++next_sequence;
  node->gradients.resize(outputs.size());
  node->backward = std::move(backward);
  for (const Tensor& t : inputs) {
    Node::Edge edge;
    if (t) {
      const auto& impl = GraphAccess::impl(t);
      edge.wanted = t.wants_grad();
      edge.node = impl->node;
      edge.output = impl->output;
      if (impl->requires_grad) edge.leaf = impl;
      edge.shape = t.shape();
      edge.dtype = t.dtype();
      edge.device = t.device();
    }
    node->inputs.push_back(std::move(edge));
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& impl = GraphAccess::impl(outputs[i]);
    check(!impl->node && !impl->requires_grad, op, ": output ", i, " is already part of a graph; return a new tensor");
    impl->node = node;
    impl->output = static_cast<int>(i);
  }
  return outputs;
}

Tensor record(std::string_view op, const std::vector<Tensor>& inputs, Tensor output, Backward backward) {
  note_op(op);
  if (!recording(inputs)) return output;
  return record(op, inputs, std::vector<Tensor>{std::move(output)},
                [backward = std::move(backward)](const std::vector<Tensor>& dys, Gradients& d) { backward(dys[0], d); })
      .front();
}

void backward(const Tensor& loss) {
  check(bool(loss) && loss.numel() == 1, "backward: needs a loss of one element, not ", describe(loss),
        "; give a gradient for other shapes");
  backward(loss, Tensor::full(loss.shape(), 1, loss.dtype(), loss.device()));
}

void backward(const Tensor& output, const Tensor& gradient) {
  check(bool(output) && output.wants_grad(), "backward: ", describe(output),
        " depends on nothing that requires a gradient");
  check(gradient.shape() == output.shape() && gradient.dtype() == output.dtype(), "backward: the gradient is ",
        describe(gradient), " but the output is ", describe(output));
  const auto& impl = GraphAccess::impl(output);
  if (impl->requires_grad) {
    if (impl->grad) {
      add_values(impl->grad, gradient);
    } else {
      impl->grad = gradient.clone();
    }
    return;
  }
  const NoGrad no_grad;
  std::map<std::uint64_t, std::shared_ptr<Node>> pending;  // by creation: the last is the next
  impl->node->gradients[static_cast<std::size_t>(impl->output)] = gradient.detach();
  pending.emplace(impl->node->sequence, impl->node);
  while (!pending.empty()) {
    const auto last = std::prev(pending.end());
    const std::shared_ptr<Node> node = last->second;
    pending.erase(last);
    check(bool(node->backward), "backward: the graph of '", node->op,
          "' was already walked; compute the loss again before a second backward");
    const std::vector<Tensor> dys = std::exchange(node->gradients, std::vector<Tensor>(node->gradients.size()));
    const BackwardOfMany function = std::exchange(node->backward, nullptr);
    Gradients d = GraphAccess::make_gradients(*node);
    const BackwardPass pass(node->op);
    function(dys, d);
    for (Node::Edge& edge : node->inputs)
      if (edge.node && edge.node->has_gradient()) pending.emplace(edge.node->sequence, edge.node);
  }
}

}  // namespace kagami
