#pragma once
// The tensor: a contiguous, typed block of memory on one device, and its place in the autograd graph.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <span>
#include <vector>

#include "engine/device.h"
#include "engine/error.h"
#include "kernels/types.h"

namespace kagami {

enum class DType : std::uint8_t { f32, f64, i32, u8, bf16 };
std::size_t size_of(DType dtype);
const char* name_of(DType dtype);
std::ostream& operator<<(std::ostream& out, DType dtype);

template <class T>
inline constexpr DType dtype_of = [] { static_assert(sizeof(T) == 0, "not an element type"); }();
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;

/// What statistics, sums and parameters beside values of this type are kept in: f32 beside bf16, else the type itself.
inline DType wide_of(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

/// Up to six dimensions, outermost first. Rank 0 is a scalar.
class Shape {
 public:
  static constexpr int max_rank = 6;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);
  int rank() const { return rank_; }
  /// Negative axes count from the end. Throws on an axis outside the rank.
  std::int64_t operator[](int axis) const { return dims_[index(axis)]; }
  std::int64_t& operator[](int axis) { return dims_[index(axis)]; }
  int index(int axis) const;  ///< a negative axis as its non-negative number
  std::int64_t numel() const;
  std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }
  bool operator==(const Shape&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape);

 private:
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

struct Node;        // autograd.h
struct TensorImpl;  // tensor.cpp

/// A handle: copying shares the memory. Always contiguous.
class Tensor {
 public:
  Tensor() = default;  ///< an empty handle; only `operator bool` may be asked
  static Tensor empty(Shape shape, DType dtype, Device device, MemoryUse use = MemoryUse::activations);
  static Tensor zeros(Shape shape, DType dtype, Device device, MemoryUse use = MemoryUse::activations);
  static Tensor full(Shape shape, double value, DType dtype, Device device);
  /// Copies `values` (as many as the shape holds) into a new tensor of T's type.
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape, Device device) {
    Tensor t = empty(shape, dtype_of<T>, device);
    t.copy_from_host(values.data(), values.size(), dtype_of<T>);
    return t;
  }
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape, Device device) {
    return from(std::span<const T>(values), shape, device);
  }

  explicit operator bool() const { return impl_ != nullptr; }
  const Shape& shape() const;
  std::int64_t shape(int axis) const { return shape()[axis]; }
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return shape().numel(); }
  DType dtype() const;
  Device device() const;
  std::size_t bytes() const;

  /// Throws unless T matches dtype().
  template <class T>
  T* data() const {
    return static_cast<T*>(checked_data(dtype_of<T>));
  }
  void* raw() const;  ///< the memory, whatever the type

  /// Same memory, another shape with as many elements. Differentiable.
  Tensor view(Shape shape) const;
  /// Rows [first, first + count) of the leading axis: same memory. Differentiable.
  Tensor rows(std::int64_t first, std::int64_t count) const;
  /// Same memory, outside the graph: stop-gradient, exactly.
  Tensor detach() const;
  /// A copy of the values in memory of its own, outside the graph.
  Tensor clone() const;
  /// Values converted to another type, outside the graph.
  Tensor to(DType dtype) const;
  /// A copy of the values on another device, outside the graph.
  Tensor to(Device device) const;

  /// The single value of a tensor with one element, as a double.
  double item() const;
  /// The values on the host, converted to T.
  template <class T>
  std::vector<T> to_host() const;
  void copy_from(const Tensor& other) const;  ///< same shape and type, any device; overwrites this memory
  void fill(double value) const;

  // A rounded copy of parameters is used only while it is up to date. Memory counts its writes: those of copy_from()
  // and fill() by itself, those of kernels and through data() where the writer says so.
  void mark_written() const;
  void mark_copy_of(const Tensor& master) const;  ///< this memory was just made from master's
  bool is_copy_of(const Tensor& master) const;    ///< and master's was not written since

  /// Makes this a leaf whose gradient backward() accumulates.
  Tensor& requires_grad(bool on = true);
  bool wants_grad() const;                  ///< a leaf that requires a gradient, or the result of one
  Tensor grad() const;                      ///< empty until backward() reached this leaf
  void set_grad(const Tensor& grad) const;  ///< backward() adds into this memory; an empty tensor forgets it

  /// Whether this handle and its views are the only owners of the memory: then it may be written in place.
  bool solely_owned() const;
  friend bool same_memory(const Tensor& a, const Tensor& b);

 private:
  void* checked_data(DType dtype) const;
  void copy_from_host(const void* values, std::size_t count, DType dtype) const;
  Tensor alias(Shape shape, std::size_t offset_bytes) const;
  std::shared_ptr<TensorImpl> impl_;
  friend struct GraphAccess;
};

/// "[256,32,32,3] f32 cpu": how error messages describe a tensor.
std::string describe(const Tensor& tensor);

}  // namespace kagami
