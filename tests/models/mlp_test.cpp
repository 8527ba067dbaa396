#include "models/mlp.h"

#include <gtest/gtest.h>

#include <memory>

#include "models/heads.h"
#include "tests/models/reference_case.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

test::MakeNetwork maker(const MlpOptions& options) {
  return [options](const Scope& scope) -> test::Network {
    const auto net = std::make_shared<Mlp>(scope, options);
    return [net](const Tensor& x, const BatchNormOptions& norm) { return net->forward(x, norm); };
  };
}

test::MakeNetwork backbone(bool batch_norm) {
  return [batch_norm](const Scope& scope) -> test::Network {
    const auto net = std::make_shared<MlpBackbone>(scope, std::vector<int>{48, 64, 32}, batch_norm);
    return [net](const Tensor& x, const BatchNormOptions& norm) { return net->forward(x, norm); };
  };
}

void expect_pytorchs(const std::string& name, const test::MakeNetwork& make) {
  SCOPED_TRACE(name);
  const test::ReferenceErrors exact = test::reference_errors(name, make, DType::f64);
  EXPECT_TRUE(exact.h <= 1e-12) << exact.h;
  EXPECT_TRUE(exact.eval_h <= 1e-12) << exact.eval_h;
  EXPECT_TRUE(exact.worst <= 1e-8) << exact.worst_name << ": " << exact.worst;
  const test::ReferenceErrors single = test::reference_errors(name, make, DType::f32);
  EXPECT_TRUE(single.h <= 2 * test::torch_f32_error(name, "h")) << single.h;
  const double gradient = test::torch_f32_error(name, "gradient_by_probes");
  EXPECT_TRUE(single.gradient <= 2 * gradient) << single.gradient << " against " << gradient;
}

TEST(Mlp, IsPyTorchs) {
  expect_pytorchs("mlp", backbone(false));
  expect_pytorchs("mlp_bn", backbone(true));
  MlpOptions projector = simclr_projector(64, 128, 32);
  expect_pytorchs("projector", maker(projector));
  projector.output_norm = NormKind::affine;
  expect_pytorchs("projector_bias", maker(projector));
}

TEST(Mlp, BackboneFlattensImages) {
  Params params;
  const MlpBackbone net(Scope(params), {48, 5});
  params.allocate(Device::cpu(), DType::f32, 1);
  EXPECT_EQ(net.forward(test::random_tensor({3, 4, 4, 3}, DType::f32, 1), {}).shape(), (Shape{3, 5}));
  EXPECT_THROW(net.forward(test::random_tensor({3, 4, 5, 3}, DType::f32, 1), {}), InputError);
}

TEST(Mlp, ImpossibleWidthsAreRefused) {
  Params params;
  EXPECT_THROW(Mlp(Scope(params), {.widths = {4}}), InputError);
  EXPECT_THROW(Mlp(Scope(params), {.widths = {4, 0}}), InputError);
  EXPECT_THROW(norm_kind("afine"), InputError);
}

}  // namespace
}  // namespace kagami
