#include <gtest/gtest.h>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_op;
using test::random_tensor;
using test::with_weight;

TEST(Conv2dOp, Gradients) {
  check_op(with_weight("3x3", {{2, 4, 5, 3}, {2, 3, 3, 3}},
                       [](const auto& x, const Weight& w) { return conv2d(x[0], w, 1, 1); }));
  check_op(with_weight("stride 2, bias", {{1, 5, 5, 2}, {3, 3, 3, 2}, {3}},
                       [](const auto& x, const Weight& w) { return conv2d(x[0], w, 2, 1, x[2]); }));
  check_op(with_weight("1x1", {{2, 3, 3, 4}, {5, 1, 1, 4}},
                       [](const auto& x, const Weight& w) { return conv2d(x[0], w, 2, 0); }));
}

TEST(Conv2dOp, ErrorsSayWhatIsWrong) {
  const Tensor x = random_tensor({2, 4, 4, 3}, DType::f32, 1), w = random_tensor({8, 3, 3, 16}, DType::f32, 2);
  try {
    conv2d(x, w, 1, 1);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "conv2d: x has 3 channels (x: [2,4,4,3] f32 cpu) but w expects 16 (w: [8,3,3,16])");
  }
  EXPECT_THROW(conv2d(x, random_tensor({8, 3, 3, 3}, DType::f64, 2), 1, 1), InputError);
  EXPECT_THROW(conv2d(x, random_tensor({8, 7, 7, 3}, DType::f32, 2), 1, 1), InputError);
  EXPECT_THROW(conv2d(x, random_tensor({8, 3, 3, 3}, DType::f32, 2), 0, 1), InputError);
  EXPECT_THROW(conv2d(x, random_tensor({8, 3, 3, 3}, DType::f32, 2), 1, 1, random_tensor({7}, DType::f32, 3)),
               InputError);
}

}  // namespace
}  // namespace kagami
