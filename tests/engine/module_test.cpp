#include "engine/module.h"

#include <gtest/gtest.h>

#include "tests/op_case.h"

namespace kagami {
namespace {

struct Perceptron {
  explicit Perceptron(const Scope& scope) : first(scope.child("0"), 5, 8, false), second(scope.child("2"), 8, 3) {}
  Tensor forward(const Tensor& x) const { return second.forward(relu(first.forward(x))); }
  Linear first, second;
};

TEST(Module, NamesAreTheScopesAndGroupsFollow) {
  Params params;
  const int heads = params.add_group({.name = "heads"});
  const Perceptron net(Scope(params).child("projector"));
  const Linear head(Scope(params).child("head").in_group(heads), 3, 2);
  std::vector<std::string> names;
  for (const Segment& s : params.segments()) names.push_back(s.name);
  EXPECT_EQ(names, (std::vector<std::string>{"projector.0.weight", "projector.2.weight", "projector.2.bias",
                                             "head.weight", "head.bias"}));
  EXPECT_EQ(params.segments()[2].group, 0);
  EXPECT_EQ(params.segments()[3].group, heads);
}

TEST(Module, GradientsOfAllParametersReachTheFlatBuffer) {
  Params params;
  const Perceptron net{Scope(params)};
  params.allocate(Device::cpu(), DType::f64, 3);
  const Tensor x = test::random_tensor({7, 5}, DType::f64, 1), up = test::random_tensor({7, 3}, DType::f64, 2);
  const auto loss = [&] { return sum(mul(net.forward(x), up)); };
  backward(loss());
  const NoGrad no_grad;
  for (const Segment& s : params.segments()) {
    double* value = params.find(s.name).data<double>();
    const double at = *value, h = 1e-6;
    *value = at + h;
    const double above = loss().item();
    *value = at - h;
    const double below = loss().item();
    *value = at;
    EXPECT_NEAR(params.find(s.name).grad().data<double>()[0], (above - below) / (2 * h), 1e-7) << s.name;
  }
}

}  // namespace
}  // namespace kagami
