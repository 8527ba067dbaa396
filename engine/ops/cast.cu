#include "engine/ops.h"

namespace kagami {
namespace {

bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16; }

}  // namespace

Tensor cast(const Tensor& x, DType dtype) {
  check(bool(x) && is_real(x.dtype()) && is_real(dtype), "cast: converts f32, f64 and bf16 into one another, not ",
        describe(x), " to ", dtype);
  if (x.dtype() == dtype) return x;
  return record("cast", {x}, x.to(dtype), [from = x.dtype()](const Tensor& dy, Gradients& d) {
    if (d.wants(0)) d.add(0, dy.to(from));
  });
}

Tensor widen(const Tensor& x) { return cast(x, wide_of(x.dtype())); }

}  // namespace kagami
