#pragma once
// What Tensor and autograd do to memory on any device: write one value, convert, add.
#include "engine/tensor.h"

namespace kagami {

/// Every element becomes `value`.
void fill_values(const Tensor& to, double value);
/// to[i] = from[i] in to's type; both on one device, as many elements.
void convert_values(const Tensor& from, const Tensor& to);
/// to[i] += from[i].
void add_values(const Tensor& to, const Tensor& from);

}  // namespace kagami
