#include "engine/broadcast.h"

#include <gtest/gtest.h>

#include "tests/op_case.h"

namespace kagami {
namespace {

Tensor of(const Shape& shape) { return Tensor::zeros(shape, DType::f64, Device::cpu()); }

Shape common(const std::vector<Shape>& shapes) {
  std::vector<Tensor> tensors;
  for (const Shape& s : shapes) tensors.push_back(of(s));
  return broadcast_shape("op", tensors);
}

TEST(Broadcast, ShapesAlignAtTheLastAxis) {
  EXPECT_EQ(common({{4, 3}, {3}}), (Shape{4, 3}));
  EXPECT_EQ(common({{4, 1}, {1, 3}}), (Shape{4, 3}));
  EXPECT_EQ(common({{}, {2, 1, 5}, {7, 1}}), (Shape{2, 7, 5}));
  EXPECT_EQ(common({{0, 3}, {1, 3}}), (Shape{0, 3}));
  EXPECT_EQ(common({{}, {}}), Shape{});
  EXPECT_THROW(common({{4, 3}, {4}}), InputError);
  EXPECT_THROW(common({{2, 3}, {0, 3}}), InputError);
}

TEST(Broadcast, WalksMergeAxes) {
  const std::vector<Tensor> same{of({2, 3, 4}), of({2, 3, 4})};
  EXPECT_EQ(broadcast_walk({2, 3, 4}, same).extent, (std::vector<std::int64_t>{24}));
  const std::vector<Tensor> channel{of({2, 3, 4}), of({4})};
  const BroadcastWalk walk = broadcast_walk({2, 3, 4}, channel);
  EXPECT_EQ(walk.extent, (std::vector<std::int64_t>{6, 4}));
  EXPECT_EQ(walk.strides[1], (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(walk.offset(0, 5), 20);
  EXPECT_EQ(walk.offset(1, 5), 0);
}

/// Every element of x added to the element of the result that it came from.
std::vector<double> sum_by_definition(const Tensor& x, const Shape& shape) {
  std::vector<double> result(static_cast<std::size_t>(shape.numel()), 0);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    std::int64_t rest = i, at = 0, step = 1;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      const int own = axis - (x.rank() - shape.rank());
      const std::int64_t index = rest % x.shape(axis);
      rest /= x.shape(axis);
      if (own < 0) continue;
      if (shape[own] != 1) at += index * step;
      step *= shape[own];
    }
    result[static_cast<std::size_t>(at)] += x.data<double>()[i];
  }
  return result;
}

TEST(Broadcast, SumToShapeMatchesTheDefinition) {
  const Tensor x = test::random_tensor({2, 3, 1, 4, 5}, DType::f64, 1);
  for (const Shape& shape : {Shape{2, 3, 1, 4, 5}, Shape{5}, Shape{1}, Shape{}, Shape{4, 1}, Shape{3, 1, 1, 5},
                             Shape{2, 1, 1, 4, 1}, Shape{2, 1, 1, 1, 5}, Shape{1, 3, 1, 1, 5}}) {
    const Tensor y = sum_to_shape(x, shape);
    ASSERT_EQ(y.shape(), shape);
    const Tensor expected = Tensor::from(sum_by_definition(x, shape), shape, Device::cpu());
    EXPECT_LE(test::relative_error(y, expected), 1e-14) << shape;
  }
}

}  // namespace
}  // namespace kagami
