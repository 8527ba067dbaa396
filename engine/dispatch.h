#pragma once
// From a tensor's device and element type to a kernel. The one table of allowed pairs: the CPU computes in f32 and f64,
// CUDA in f32 and bf16.
#include <string_view>

#include "engine/tensor.h"
#include "engine/work.h"

namespace kagami {

namespace detail {

#if KAGAMI_HAS_CUDA
template <class T, class F>
void call_on_cuda(std::string_view op, const Tensor& x, F& f) {
  if constexpr (std::is_invocable_v<F&, Cuda, T>) {
    f(x.device().as_cuda(), T{});
  } else {
    check(false, op, ": has no CUDA kernel, so it cannot take ", describe(x));
  }
}
#endif

template <class F>
void dispatch_on_cpu(std::string_view op, const Tensor& x, F& f) {
  switch (x.dtype()) {
    case DType::f32:
      return f(x.device().as_cpu(), float{});
    case DType::f64:
      return f(x.device().as_cpu(), double{});
    default:
      check(false, op, ": computes in f32 or f64 on the CPU, not in ", describe(x));
  }
}

}  // namespace detail

/// Calls f(device, zero): `device` is a Cpu or a Cuda, `zero` a value of the element type, `using T = decltype(zero)`.
/// Throws, naming the op, for a pair that is not in the table. An op that takes any device and lacks a kernel does not
/// compile; one whose f takes a Cpu has none by choice, and says so.
template <class F>
void dispatch(std::string_view op, const Tensor& x, F&& f) {
  note_op(op);
#if KAGAMI_HAS_CUDA
  if (!x.device().is_cpu()) {
    check(x.dtype() == DType::f32 || x.dtype() == DType::bf16, op, ": computes in f32 or bf16 on ", x.device(),
          ", not in ", describe(x));
    return x.dtype() == DType::f32 ? detail::call_on_cuda<float>(op, x, f) : detail::call_on_cuda<bf16>(op, x, f);
  }
#endif
  detail::dispatch_on_cpu(op, x, f);
}

/// The same for what is never computed in bf16: losses, updates of parameters.
template <class F>
void dispatch_full(std::string_view op, const Tensor& x, F&& f) {
#if KAGAMI_HAS_CUDA
  if (!x.device().is_cpu()) {
    check(x.dtype() == DType::f32, op, ": computes in f32 on ", x.device(), ", not in ", describe(x));
    return detail::call_on_cuda<float>(op, x, f);
  }
#endif
  detail::dispatch_on_cpu(op, x, f);
}

/// Calls f(device), a Cpu or a Cuda, for kernels of any type.
template <class F>
void on_device(const Tensor& x, F&& f) {
#if KAGAMI_HAS_CUDA
  if (!x.device().is_cpu()) return f(x.device().as_cuda());
#endif
  f(x.device().as_cpu());
}

/// Calls f(zero) for any storage type, for copies and conversions.
template <class F>
void dispatch_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::bf16:
      return f(bf16{});
  }
}

}  // namespace kagami
