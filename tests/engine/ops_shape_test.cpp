#include <gtest/gtest.h>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::random_tensor;

Tensor counted(const Shape& shape) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i);
  return Tensor::from(values, shape, Device::cpu());
}

Tensor indices(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, Device::cpu());
}

std::vector<std::int32_t> ints(const Tensor& t) { return t.to_host<std::int32_t>(); }

TEST(OpsJoin, Gradients) {
  check_op({"concat", {{2, 3}, {4, 3}}, [](const auto& x) { return concat({x[0], x[1]}, 0); }});
  check_op({"concat", {{2, 3, 2}, {2, 1, 2}, {2, 2, 2}}, [](const auto& x) { return concat(x, 1); }});
  check_op({"concat same", {{2, 3}}, [](const auto& x) { return concat({x[0], x[0], exp(x[0])}, -1); }});
  check_op({"split", {{2, 5, 2}}, [](const auto& x) {
              const auto parts = split(x[0], {2, 1, 2}, 1);
              return add(mul(parts[0], parts[2]), parts[1]);
            }});
  check_op({"split with an unused part", {{5, 2}}, [](const auto& x) { return split(x[0], {2, 3}, 0)[1]; }});
  check_op({"slice", {{2, 5, 2}}, [](const auto& x) { return mul(slice(x[0], 1, 1, 3), slice(x[0], -2, 2, 3)); }});
  check_op({"slice rows", {{5, 2}}, [](const auto& x) { return slice(x[0], 0, 1, 3); }});
}

TEST(OpsJoin, Values) {
  const Tensor x = counted({2, 3});
  EXPECT_EQ(ints(concat({x, x}, 0)), (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(ints(concat({x, x}, 1)), (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}));
  const auto parts = split(x, {1, 0, 2}, -1);
  EXPECT_EQ(ints(parts[0]), (std::vector<std::int32_t>{0, 3}));
  EXPECT_EQ(parts[1].shape(), (Shape{2, 0}));
  EXPECT_EQ(ints(parts[2]), (std::vector<std::int32_t>{1, 2, 4, 5}));
  EXPECT_EQ(ints(concat(parts, 1)), ints(x));
  EXPECT_EQ(ints(slice(x, 1, 1, 1)), (std::vector<std::int32_t>{1, 4}));
  EXPECT_TRUE(same_memory(slice(x, 0, 0, 1), x));
}

TEST(OpsJoin, ErrorsSayWhatIsWrong) {
  const Tensor x = counted({2, 3});
  EXPECT_THROW(concat({}, 0), InputError);
  EXPECT_THROW(concat({x, counted({2, 3, 1})}, 0), InputError);
  EXPECT_THROW(concat({x, Tensor()}, 0), InputError);
  EXPECT_THROW(concat({x, x}, 2), InputError);
  EXPECT_THROW(split(x, {1, 1}, 1), InputError);
  EXPECT_THROW(split(x, {-1, 4}, 1), InputError);
  EXPECT_THROW(slice(x, 1, 2, 2), InputError);
  try {
    concat({x, counted({4, 2})}, 0);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "concat: [4,2] i32 cpu and [2,3] i32 cpu differ in more than axis 0");
  }
}

TEST(OpsPermute, Gradients) {
  check_op({"permute", {{2, 3, 4}}, [](const auto& x) { return permute(x[0], {2, 0, 1}); }});
  check_op({"permute", {{2, 3, 1, 4}}, [](const auto& x) { return permute(x[0], {3, 2, 1, 0}); }});
  check_op({"transpose", {{3, 4}}, [](const auto& x) { return matmul(transpose(x[0], 0, 1), x[0]); }});
  check_op({"transpose", {{2, 3, 4}}, [](const auto& x) { return transpose(x[0], -1, 0); }});
  check_large({"permute", {{3, 70, 50, 9}}, [](const auto& x) { return permute(x[0], {0, 3, 1, 2}); }});
}

TEST(OpsPermute, MatchesTheDefinitionInEveryOrder) {
  const Tensor x = counted({2, 3, 4, 5});
  const std::int64_t stride[] = {60, 20, 5, 1};
  std::vector<int> order{0, 1, 2, 3};
  do {
    const Tensor y = permute(x, order);
    const std::int32_t* at = y.data<std::int32_t>();
    for (std::int64_t i = 0; i < y.shape(0); ++i)
      for (std::int64_t j = 0; j < y.shape(1); ++j)
        for (std::int64_t k = 0; k < y.shape(2); ++k)
          for (std::int64_t l = 0; l < y.shape(3); ++l)
            ASSERT_EQ(*at++, i * stride[order[0]] + j * stride[order[1]] + k * stride[order[2]] + l * stride[order[3]]);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(permute(counted({}), {}).item(), 0);
  EXPECT_EQ(permute(counted({0, 3}), {1, 0}).shape(), (Shape{3, 0}));
}

TEST(OpsPermute, ErrorsSayWhatIsWrong) {
  EXPECT_THROW(permute(counted({2, 3}), {0}), InputError);
  EXPECT_THROW(permute(counted({2, 3}), {0, 2}), InputError);
  EXPECT_THROW(transpose(counted({2, 3}), 0, 2), InputError);
  try {
    permute(counted({2, 3}), {1, 1});
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "permute: (1,1) is no order of the 2 axes of x ([2,3] i32 cpu)");
  }
}

TEST(OpsGather, Gradients) {
  const Tensor some = indices({2, 0, 2, 1, 2});
  check_op({"gather", {{3, 4}}, [=](const auto& x) { return gather(x[0], some.to(x[0].device()), 0); }});
  check_op({"gather", {{2, 4, 3}}, [=](const auto& x) { return gather(x[0], some.to(x[0].device()), 1); }});
  check_op({"gather", {{2, 4}}, [=](const auto& x) { return gather(x[0], some.to(x[0].device()), -1); }});
  check_large({"gather", {{3, 40, 300}}, [=](const auto& x) { return gather(x[0], some.to(x[0].device()), 1); }});
}

TEST(OpsGather, Values) {
  EXPECT_EQ(ints(gather(counted({3, 2}), indices({2, 0, 2}), 0)), (std::vector<std::int32_t>{4, 5, 0, 1, 4, 5}));
  EXPECT_EQ(ints(gather(counted({2, 3}), indices({2, 0}), 1)), (std::vector<std::int32_t>{2, 0, 5, 3}));
  EXPECT_EQ(gather(counted({2, 3}), indices({}), 1).shape(), (Shape{2, 0}));
}

TEST(OpsGather, ErrorsSayWhatIsWrong) {
  EXPECT_THROW(gather(counted({3}), indices({-1}), 0), InputError);
  EXPECT_THROW(gather(counted({3}), random_tensor({2}, DType::f32, 1), 0), InputError);
  EXPECT_THROW(gather(counted({3}), counted({1, 1}), 0), InputError);
  try {
    gather(counted({3, 2}), indices({1, 3}), 0);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "gather: indices[1] = 3 is outside axis 0 of x ([3,2] i32 cpu)");
  }
}

}  // namespace
}  // namespace kagami
