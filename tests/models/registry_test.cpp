#include "models/registry.h"

#include <gtest/gtest.h>

#include "tests/op_case.h"

namespace kagami {
namespace {

TEST(Registry, EveryNameMakesAnEncoder) {
  for (const std::string& name : backbone_names()) {
    Params params;
    const auto net = make_backbone(Scope(params), {.arch = name, .stem = "cifar-s2", .width = 4, .image_size = 16});
    params.allocate(Device::cpu(), DType::f32, 1);
    const Tensor h = net->forward(test::random_tensor({2, 16, 16, 3}, DType::f32, 1), {});
    EXPECT_EQ(h.shape(), (Shape{2, net->features()})) << name;
  }
}

TEST(Registry, UnknownNamesGetASuggestion) {
  Params params;
  try {
    make_backbone(Scope(params), {.arch = "resnet81"});
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "unknown architecture 'resnet81'; did you mean 'resnet8'?");
  }
  EXPECT_THROW(make_backbone(Scope(params), {.stem = "imagenette"}), InputError);
}

}  // namespace
}  // namespace kagami
