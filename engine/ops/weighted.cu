#include "engine/ops/weighted.h"

#include "engine/ops.h"

namespace kagami::detail {
namespace {

bool is_copy(const Weight& w) { return !same_memory(w.master, w.compute); }

}  // namespace

Operands operands_of(std::string_view op, const Tensor& x, const Weight& w) {
  check(bool(x) && bool(w.compute), op, ": an operand is empty (x: ", describe(x), ", w: ", describe(w.compute), ")");
  check(!is_copy(w) || w.compute.is_copy_of(w.master), op, ": the ", w.compute.dtype(), " copy of w (",
        describe(w.master), ") is older than w; call Params::refresh() after writing parameters");
  Operands operands{x, w};
  const bool narrow = x.dtype() == DType::bf16 || w.compute.dtype() == DType::bf16;
  if (narrow && x.dtype() == DType::f32) operands.x = cast(x, DType::bf16);
  if (narrow && w.compute.dtype() == DType::f32) operands.w.compute = w.compute.to(DType::bf16);
  check(operands.x.dtype() == operands.w.compute.dtype() && x.device() == w.compute.device(), op, ": x (", describe(x),
        ") and w (", describe(w.compute), ") differ in type or device");
  check(w.master.dtype() == wide_of(operands.x.dtype()), op, ": w takes its gradient in ", wide_of(operands.x.dtype()),
        ", so its master cannot be ", describe(w.master));
  return operands;
}

Weight detached(const Weight& w) {
  Weight result = w;
  result.master = Tensor();
  result.compute = w.compute.detach();
  if (w.compute_flipped) result.compute_flipped = w.compute_flipped.detach();
  return result;
}

}  // namespace kagami::detail
