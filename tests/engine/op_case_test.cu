// The harness is tested with wrong gradients: it has to catch every one of them.
#include "tests/op_case.h"

#include <cmath>
#include <limits>

#include "engine/elementwise.h"
#include "engine/ops.h"

namespace kagami::test {
namespace {

/// x^2 with a derivative of `factor` x + `offset`.
struct Square {
  static constexpr const char* name = "square";
  double factor, offset;
  template <class T>
  KAGAMI_HD T f(T x) const {
    return x * x;
  }
  template <class T>
  KAGAMI_HD Vec<T, 1> df(T x) const {
    return {T(factor) * x + T(offset)};
  }
};

OpCase square(double factor, double offset) {
  return {"square", {{3, 4}}, [=](const auto& x) { return elementwise(Square{factor, offset}, x[0]); }};
}

TEST(OpCase, AcceptsTheRightGradient) { EXPECT_EQ(gradient_mismatch(square(2, 0)), ""); }

TEST(OpCase, CatchesWrongGradients) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  EXPECT_NE(gradient_mismatch(square(-2, 0)), "");
  EXPECT_NE(gradient_mismatch(square(2.00001, 0)), "");
  EXPECT_NE(gradient_mismatch(square(2, 1e-5)), "");
  EXPECT_NE(gradient_mismatch(square(0, 0)), "");
  EXPECT_NE(gradient_mismatch(square(2, nan)), "");
  EXPECT_NE(gradient_mismatch(square(2, infinity)), "");
}

TEST(OpCase, CatchesAGradientThatNeverArrives) {
  const OpCase lost{"lost", {{2}, {2}}, [](const auto& x) { return mul(x[0], x[1].detach()); }};
  EXPECT_NE(gradient_mismatch(lost), "");
}

TEST(OpCase, CatchesATransposedUpstreamGradient) {
  const OpCase wrong{"transposed", {{2, 2}}, [](const auto& x) {
                       Tensor y = x[0].clone();
                       return record("identity", {x[0]}, y, [](const Tensor& dy, Gradients& d) {
                         const double* g = dy.data<double>();
                         d.add(0, Tensor::from(std::vector<double>{g[0], g[2], g[1], g[3]}, {2, 2}, dy.device()));
                       });
                     }};
  EXPECT_NE(gradient_mismatch(wrong), "");
}

TEST(OpCase, FailsWhenNothingWasCompared) {
  const OpCase empty{"empty", {{0}, {1}}, [](const auto& x) { return mul(x[1], x[1]); }, -2, 2, 2e-7, 2e-5, {1}};
  EXPECT_ANY_THROW(static_cast<void>(gradient_mismatch(empty)));
}

TEST(OpCase, RelativeErrorIsNeverSmallForNaN) {
  const Tensor nan = Tensor::full({2}, std::numeric_limits<double>::quiet_NaN(), DType::f64, Device::cpu());
  const Tensor one = Tensor::full({2}, 1, DType::f64, Device::cpu());
  EXPECT_FALSE(relative_error(nan, one) <= 1e9);
  EXPECT_FALSE(relative_error(one, nan) <= 1e9);
  EXPECT_FALSE(relative_error(one, Tensor::full({3}, 1, DType::f64, Device::cpu())) <= 1e9);
}

}  // namespace
}  // namespace kagami::test
