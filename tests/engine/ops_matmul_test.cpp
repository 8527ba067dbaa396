#include <gtest/gtest.h>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::random_tensor;
using test::relative_error;
using test::with_weight;

Shape turned(Shape shape, bool turn) {
  if (turn) std::swap(shape[-1], shape[-2]);
  return shape;
}

TEST(OpsMatmul, GradientsOfAllTranspositions) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const auto op = [=](const auto& x) { return matmul(x[0], x[1], ta, tb); };
      check_op({"matmul", {turned({3, 4}, ta), turned({4, 5}, tb)}, op});
      check_op({"matmul batch", {turned({2, 2, 3, 4}, ta), turned({2, 2, 4, 5}, tb)}, op});
      check_op({"matmul shared a", {turned({3, 4}, ta), turned({3, 4, 5}, tb)}, op});
      check_op({"matmul shared b", {turned({3, 2, 4}, ta), turned({4, 5}, tb)}, op});
    }
  check_op({"matmul gram", {{4, 3}}, [](const auto& x) { return matmul(x[0], x[0], false, true); }});
}

TEST(OpsMatmul, MatchesTheDefinition) {
  const Tensor a = random_tensor({2, 3, 4}, DType::f64, 1), b = random_tensor({2, 5, 4}, DType::f64, 2);
  const Tensor c = matmul(a, b, false, true);
  ASSERT_EQ(c.shape(), (Shape{2, 3, 5}));
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 5; ++j) {
        double expected = 0;
        for (int p = 0; p < 4; ++p)
          expected += a.data<double>()[(n * 3 + i) * 4 + p] * b.data<double>()[(n * 5 + j) * 4 + p];
        EXPECT_NEAR(c.data<double>()[(n * 3 + i) * 5 + j], expected, 1e-14);
      }
}

TEST(OpsMatmul, Large) {
  check_large({"matmul", {{150, 260}, {260, 70}}, [](const auto& x) { return matmul(x[0], x[1]); }});
  check_large({"linear", {{2, 90, 130}, {200, 130}, {200}}, [](const auto& x) { return linear(x[0], x[1], x[2]); }});
}

TEST(OpsMatmul, ErrorsSayWhatIsWrong) {
  const Tensor a = random_tensor({2, 3, 4}, DType::f64, 1);
  EXPECT_THROW(matmul(a, random_tensor({4}, DType::f64, 1)), InputError);
  EXPECT_THROW(matmul(a, random_tensor({4, 5}, DType::f32, 1)), InputError);
  EXPECT_THROW(matmul(a, random_tensor({3, 4, 5}, DType::f64, 1)), InputError);
  EXPECT_THROW(matmul(a, random_tensor({1, 2, 4, 5}, DType::f64, 1)), InputError);
  EXPECT_THROW(matmul(a, Tensor()), InputError);
  try {
    matmul(a, random_tensor({5, 6}, DType::f64, 1), false, true);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "matmul: the inner axes are 4 and 6 (a: [2,3,4] f64 cpu, b: [5,6] f64 cpu transposed)");
  }
}

TEST(OpsLinear, Gradients) {
  const auto with_bias = [](const auto& x, const Weight& w) { return linear(x[0], w, x[2]); };
  check_op(with_weight("linear", {{3, 4}, {5, 4}, {5}}, with_bias));
  check_op(with_weight("linear without bias", {{3, 4}, {5, 4}},
                       [](const auto& x, const Weight& w) { return linear(x[0], w); }));
  check_op(with_weight("linear leading", {{2, 3, 4}, {5, 4}, {5}}, with_bias));
  check_op(with_weight("linear vector", {{4}, {5, 4}, {5}}, with_bias));
  check_op(with_weight("linear relu", {{3, 4}, {5, 4}, {5}},
                       [](const auto& x, const Weight& w) { return linear(x[0], w, x[2], true); }));
  check_op(with_weight("linear relu without bias", {{6, 4}, {5, 4}},
                       [](const auto& x, const Weight& w) { return linear(x[0], w, {}, true); }));
}

TEST(OpsLinear, IsTheProductPlusBias) {
  const Tensor x = random_tensor({3, 4}, DType::f64, 1), w = random_tensor({5, 4}, DType::f64, 2),
               b = random_tensor({5}, DType::f64, 3);
  EXPECT_LE(relative_error(linear(x, w, b), add(matmul(x, w, false, true), b)), 1e-15);
}

TEST(OpsLinear, ErrorsSayWhatIsWrong) {
  const Tensor x = random_tensor({3, 4}, DType::f64, 1), w = random_tensor({5, 4}, DType::f64, 2);
  EXPECT_THROW(linear(x, w, random_tensor({4}, DType::f64, 3)), InputError);
  EXPECT_THROW(linear(x, random_tensor({5, 4}, DType::f32, 2)), InputError);
  EXPECT_THROW(linear(x, random_tensor({4}, DType::f64, 2)), InputError);
  EXPECT_THROW(linear(Tensor(), w), InputError);
  try {
    linear(random_tensor({2, 6}, DType::f64, 1), w);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(),
                 "linear: x has 6 features (x: [2,6] f64 cpu) but w expects 4 (w: [5,4] f64 cpu; w is [out,in])");
  }
}

}  // namespace
}  // namespace kagami
