#pragma once
// From a tensor's device and element type to a kernel. The one table of allowed pairs: CPU computes in f32 and f64.
#include <string_view>

#include "engine/tensor.h"

namespace kagami {

/// Calls f(device, zero): `zero` is a value of the element type, `using T = decltype(zero)`. Throws, naming the op, for
/// a type it is not computed in.
template <class F>
void dispatch(std::string_view op, const Tensor& x, F&& f) {
  switch (x.dtype()) {
    case DType::f32:
      return f(x.device().as_cpu(), float{});
    case DType::f64:
      return f(x.device().as_cpu(), double{});
    default:
      check(false, op, ": computes in f32 or f64, not in ", describe(x));
  }
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
