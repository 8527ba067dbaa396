#include "models/heads.h"

#include <gtest/gtest.h>

#include "tests/op_case.h"

namespace kagami {
namespace {

/// The names of a head's parameters and buffers, and the shape it gives.
std::vector<std::string> names_of(const MlpOptions& options) {
  Params params;
  const Mlp head(Scope(params), options);
  params.allocate(Device::cpu(), DType::f32, 1);
  const Tensor y = head.forward(test::random_tensor({4, options.widths.front()}, DType::f32, 1), {});
  EXPECT_EQ(y.shape(), (Shape{4, options.widths.back()}));
  std::vector<std::string> names;
  for (const Segment& s : params.segments()) names.push_back(s.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(Heads, HaveTheLayersOfThePapers) {
  EXPECT_EQ(names_of(simclr_projector(8, 6, 4)), (Names{"0.weight", "1.weight", "1.bias", "3.weight", "4.weight"}));
  EXPECT_EQ(names_of(moco_head(8, 0, 4)), (Names{"0.weight", "0.bias"}));
  EXPECT_EQ(names_of(moco_head(8, 8, 4)), (Names{"0.weight", "0.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(names_of(byol_mlp(8, 6, 4)), (Names{"0.weight", "0.bias", "1.weight", "1.bias", "3.weight"}));
  EXPECT_EQ(names_of(simsiam_projector(8, 6)),
            (Names{"0.weight", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias", "6.weight"}));
  EXPECT_EQ(names_of(simsiam_predictor(8, 2)), (Names{"0.weight", "1.weight", "1.bias", "3.weight", "3.bias"}));
}

TEST(Heads, NeedALayer) { EXPECT_THROW(simclr_projector(8, 6, 4, 0), InputError); }

}  // namespace
}  // namespace kagami
