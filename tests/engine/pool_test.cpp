#include <gtest/gtest.h>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_op;
using test::random_tensor;

TEST(PoolOp, Gradients) {
  check_op({"max 3/2", {{2, 5, 4, 3}}, [](const auto& x) { return max_pool(x[0], 3, 2, 1); }});
  check_op({"max 2/2", {{1, 4, 4, 2}}, [](const auto& x) { return max_pool(x[0], 2, 2, 0); }});
  check_op({"average", {{3, 2, 4, 5}}, [](const auto& x) { return global_avg_pool(x[0]); }});
}

TEST(PoolOp, ErrorsSayWhatIsWrong) {
  const Tensor x = random_tensor({1, 4, 4, 2}, DType::f32, 1);
  EXPECT_THROW(max_pool(x, 3, 2, 2), InputError);
  EXPECT_THROW(max_pool(x, 16, 2, 1), InputError);
  EXPECT_THROW(max_pool(x, 5, 1, 0), InputError);
  EXPECT_THROW(max_pool(x.view({4, 8}), 2, 2, 0), InputError);
  EXPECT_THROW(global_avg_pool(x.view({4, 8})), InputError);
}

}  // namespace
}  // namespace kagami
