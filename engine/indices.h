#pragma once
// Indices and labels that ops take as tensors: never used unchecked, and on CUDA checked without waiting for the
// device.
#include <string>

#include "engine/tensor.h"
#include "kernels/indices.h"

namespace kagami {

struct CheckedIndices {
  Tensor indices;  ///< a copy; what was ignored or outside is the rule's substitute
  Tensor valid;    ///< i32, one element: how many were neither
};

/// Checks `indices` (i32, one row). One that is outside throws InputError "<before>[i] = <value><after>": on the CPU
/// here, on CUDA at the next host read of the device or wait for it.
CheckedIndices checked_indices(const Tensor& indices, const IndexRule& rule, const std::string& before,
                               const std::string& after);

/// Throws InputError `message` where none was valid, then and there as checked_indices() does.
void require_valid(const CheckedIndices& checked, const std::string& message);

}  // namespace kagami
