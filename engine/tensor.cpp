#include "engine/tensor.h"

#include <algorithm>
#include <numeric>

#include "engine/autograd.h"
#include "engine/in_place.h"
#include "engine/tensor_impl.h"

namespace kagami {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::f64:
      return 8;
    case DType::i32:
      return 4;
    case DType::u8:
      return 1;
    case DType::bf16:
      return 2;
  }
  return 0;
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
    case DType::bf16:
      return "bf16";
  }
  return "unknown";
}

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name_of(dtype); }

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  check(dims.size() <= dims_.size(), "shape: rank ", dims.size(), " exceeds ", max_rank);
  std::copy(dims.begin(), dims.end(), dims_.begin());
  std::int64_t count = 1;
  for (const std::int64_t d : dims) {
    check(d >= 0, "shape: negative dimension in ", *this);
    check(!__builtin_mul_overflow(count, d, &count), "shape: ", *this, " has more elements than 64 bits can count");
  }
}

int Shape::index(int axis) const {
  const int i = axis < 0 ? rank_ + axis : axis;
  check(i >= 0 && i < rank_, "axis ", axis, " is outside shape ", *this);
  return i;
}

std::int64_t Shape::numel() const {
  return std::accumulate(dims_.begin(), dims_.begin() + rank_, std::int64_t{1}, std::multiplies<>());
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank_; ++i) out << (i ? "," : "") << shape.dims_[i];
  return out << ']';
}

Tensor Tensor::empty(Shape shape, DType dtype, Device device, MemoryUse use) {
  auto impl = std::make_shared<TensorImpl>();
  impl->shape = shape;
  impl->dtype = dtype;
  try {
    impl->storage = std::make_shared<Storage>(device, static_cast<std::size_t>(shape.numel()) * size_of(dtype), use);
  } catch (const OutOfMemory& error) {
    throw OutOfMemory(text(error.what(), " (wanted: ", name_of(use), ' ', shape, ' ', dtype, ')'));
  }
  return GraphAccess::wrap(std::move(impl));
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device, MemoryUse use) {
  Tensor t = empty(shape, dtype, device, use);
  device.clear(t.raw(), t.bytes());
  return t;
}

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.fill(value);
  return t;
}

const Shape& Tensor::shape() const { return impl_->shape; }
DType Tensor::dtype() const { return impl_->dtype; }
Device Tensor::device() const { return impl_->storage->device; }
std::size_t Tensor::bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype()); }

void* Tensor::raw() const { return static_cast<char*>(impl_->storage->data) + impl_->offset; }

void* Tensor::checked_data(DType dtype) const {
  check(impl_ != nullptr, "data: the tensor is empty");
  check(impl_->dtype == dtype, "data: asked for ", dtype, " but the tensor is ", describe(*this));
  return raw();
}

Tensor Tensor::alias(Shape shape, std::size_t offset_bytes) const {
  auto impl = std::make_shared<TensorImpl>();
  impl->shape = shape;
  impl->dtype = dtype();
  impl->storage = impl_->storage;
  impl->offset = impl_->offset + offset_bytes;
  return GraphAccess::wrap(std::move(impl));
}

Tensor Tensor::detach() const { return alias(shape(), 0); }

Tensor Tensor::view(Shape shape) const {
  check(shape.numel() == numel(), "view: ", this->shape(), " has ", numel(), " elements, ", shape, " has ",
        shape.numel());
  return record("view", {*this}, alias(shape, 0), [from = this->shape()](const Tensor& dy, Gradients& d) {
    if (d.wants(0)) d.add(0, dy.view(from));
  });
}

Tensor Tensor::rows(std::int64_t first, std::int64_t count) const {
  check(rank() >= 1 && first >= 0 && count >= 0 && first + count <= shape(0), "rows: [", first, ", ", first + count,
        ") is outside the leading axis of ", shape());
  Shape part = shape();
  part[0] = count;
  const std::size_t row_bytes = shape(0) ? bytes() / static_cast<std::size_t>(shape(0)) : 0;
  return record("rows", {*this}, alias(part, row_bytes * static_cast<std::size_t>(first)),
                [first, count](const Tensor& dy, Gradients& d) {
                  if (d.wants(0)) d.add_rows(0, first, count, dy);
                });
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape(), dtype(), device());
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(DType dtype) const {
  Tensor t = empty(shape(), dtype, device());
  convert_values(*this, t);
  return t;
}

Tensor Tensor::to(Device device) const {
  Tensor t = empty(shape(), dtype(), device);
  t.copy_from(*this);
  return t;
}

double Tensor::item() const {
  check(impl_ && numel() == 1, "item: needs a tensor of one element, not ", describe(*this));
  return to_host<double>().front();
}

template <class T>
std::vector<T> Tensor::to_host() const {
  std::vector<T> values(static_cast<std::size_t>(numel()));
  const Tensor here = device().is_cpu() ? *this : to(Device::cpu());
  if (here.dtype() == dtype_of<T>) {
    std::copy_n(here.data<T>(), values.size(), values.begin());
  } else {
    const Tensor converted = here.to(dtype_of<T>);
    std::copy_n(converted.data<T>(), values.size(), values.begin());
  }
  return values;
}
template std::vector<float> Tensor::to_host() const;
template std::vector<double> Tensor::to_host() const;
template std::vector<std::int32_t> Tensor::to_host() const;
template std::vector<std::uint8_t> Tensor::to_host() const;

void Tensor::copy_from(const Tensor& other) const {
  check(shape() == other.shape() && dtype() == other.dtype(), "copy_from: ", describe(*this),
        " cannot take the values of ", describe(other));
  mark_written();
  if (device() == other.device()) {
    device().copy_within(raw(), other.raw(), bytes());
  } else if (other.device().is_cpu()) {
    device().copy_in(raw(), other.raw(), bytes());
  } else if (device().is_cpu()) {
    other.device().copy_out(raw(), other.raw(), bytes());
  } else {
    copy_from(other.to(Device::cpu()));
  }
}

void Tensor::copy_from_host(const void* values, std::size_t count, DType dtype) const {
  check(static_cast<std::int64_t>(count) == numel() && dtype == this->dtype(), "from: ", count, " values of ", dtype,
        " do not fill ", describe(*this));
  device().copy_in(raw(), values, bytes());
}

void Tensor::fill(double value) const {
  mark_written();
  fill_values(*this, value);
}

void Tensor::mark_written() const { ++impl_->storage->writes; }
void Tensor::mark_copy_of(const Tensor& master) const { impl_->storage->copied_writes = master.impl_->storage->writes; }
bool Tensor::is_copy_of(const Tensor& master) const {
  return impl_->storage->copied_writes == master.impl_->storage->writes;
}

Tensor& Tensor::requires_grad(bool on) {
  check(impl_ != nullptr, "requires_grad: the tensor is empty");
  check(!impl_->node, "requires_grad: only a leaf can require a gradient, not the result of an op");
  check(!on || dtype() == DType::f32 || dtype() == DType::f64, "requires_grad: needs f32 or f64, not ",
        describe(*this));
  impl_->requires_grad = on;
  return *this;
}

bool Tensor::wants_grad() const { return impl_ && (impl_->requires_grad || impl_->node); }
Tensor Tensor::grad() const { return impl_->grad; }

void Tensor::set_grad(const Tensor& grad) const {
  check(!grad || (grad.shape() == shape() && grad.dtype() == dtype()), "set_grad: ", describe(grad),
        " is no gradient of ", describe(*this));
  impl_->grad = grad;
}

bool Tensor::solely_owned() const { return impl_ && impl_.use_count() == 1 && impl_->storage.use_count() == 1; }

bool same_memory(const Tensor& a, const Tensor& b) { return a.impl_ && b.impl_ && a.raw() == b.raw(); }

std::string describe(const Tensor& tensor) {
  if (!tensor) return "an empty tensor";
  return text(tensor.shape(), ' ', tensor.dtype(), ' ', tensor.device());
}

}  // namespace kagami
