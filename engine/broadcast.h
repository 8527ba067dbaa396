#pragma once
// NumPy's broadcasting: shapes are aligned at their last axes, and an axis of 1 stretches.
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "engine/tensor.h"

namespace kagami {

/// The common shape of `inputs`; throws, naming the op and all shapes, when they do not broadcast.
Shape broadcast_shape(std::string_view op, std::span<const Tensor> inputs);

/// How to walk several broadcast tensors together: as few axes as possible, the last one innermost.
struct BroadcastWalk {
  std::vector<std::int64_t> extent;                // of each merged axis, outermost first; at least one
  std::vector<std::vector<std::int64_t>> strides;  // [input][axis] in elements; 0 where the input is stretched
  std::int64_t rows() const;                       ///< product of all axes but the last
  std::int64_t row_length() const { return extent.back(); }
  std::int64_t count() const { return rows() * row_length(); }  ///< elements of the output
  /// The element where row `row` begins in input k.
  std::int64_t offset(std::size_t k, std::int64_t row) const;
};
BroadcastWalk broadcast_walk(const Shape& out, std::span<const Tensor> inputs);

/// Sums `x` over the axes along which `shape` was stretched to x's shape: the gradient of broadcasting. Sums in double;
/// of bf16 the result is f32.
Tensor sum_to_shape(const Tensor& x, const Shape& shape);

}  // namespace kagami
