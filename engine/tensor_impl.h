#pragma once
// What a Tensor handle points to. For tensor.cpp and autograd.cpp only.
#include <memory>

#include "engine/autograd.h"

namespace kagami {

/// Memory from a device's arena; goes back there with the last tensor that uses it.
struct Storage {
  Storage(Device d, std::size_t bytes, MemoryUse use) : device(d), data(d.memory().allocate(bytes, use)) {}
  ~Storage() { device.memory().release(data); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  Device device;
  void* data;
  std::uint64_t writes = 0, copied_writes = 0;  // of this memory; of the memory it is a copy of, when it was made
};

struct TensorImpl {
  Shape shape;
  DType dtype;
  std::shared_ptr<Storage> storage;
  std::size_t offset = 0;  // bytes into the storage
  bool requires_grad = false;
  std::shared_ptr<Node> node;  // the op this is a result of
  int output = 0;              // which of its outputs
  Tensor grad;                 // of a leaf
};

/// The one door from Tensor to TensorImpl and to the slots of Gradients.
struct GraphAccess {
  static const std::shared_ptr<TensorImpl>& impl(const Tensor& t) { return t.impl_; }
  static Tensor wrap(std::shared_ptr<TensorImpl> impl) {
    Tensor t;
    t.impl_ = std::move(impl);
    return t;
  }
  static Gradients make_gradients(Node& node);
};

}  // namespace kagami
