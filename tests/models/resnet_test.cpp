#include "models/resnet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "kernels/cpu/conv_algorithm.h"
#include "models/registry.h"
#include "tests/models/reference_case.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::reference_errors;
using test::ReferenceErrors;
using test::torch_f32_error;

/// "resnet18_cifar-s2": the architecture and the stem.
test::MakeNetwork maker(const std::string& name) {
  const std::size_t cut = name.find('_');
  const BackboneOptions options{.arch = name.substr(0, cut), .stem = name.substr(cut + 1)};
  return [options](const Scope& scope) -> test::Network {
    const std::shared_ptr<Backbone> net = make_backbone(scope, options);
    return [net](const Tensor& x, const BatchNormOptions& norm) { return net->forward(x, norm); };
  };
}

class ResNetReference : public testing::TestWithParam<const char*> {
 protected:
  ~ResNetReference() override { cpu::set_conv_algorithm("auto"); }
};

TEST_P(ResNetReference, IsPyTorchsInDouble) {
  const ReferenceErrors errors = reference_errors(GetParam(), maker(GetParam()), DType::f64);
  EXPECT_TRUE(errors.loss <= 1e-8) << errors.loss;
  EXPECT_TRUE(errors.h <= 1e-8) << errors.h;
  EXPECT_TRUE(errors.eval_h <= 1e-8) << errors.eval_h;
  EXPECT_TRUE(errors.worst <= 1e-8) << errors.worst_name << ": " << errors.worst;
}

TEST_P(ResNetReference, FloatIsAsNearAsPyTorchs) {
  const std::string name = GetParam();
  for (const auto& [algorithm, factor] : {std::pair{"direct", 2.0}, std::pair{"auto", 3.0}}) {
    cpu::set_conv_algorithm(algorithm);
    const ReferenceErrors ours = reference_errors(name, maker(name), DType::f32);
    const auto expect_near = [&](const char* what, double most, double error) {
      const double torch = torch_f32_error(name, what);
      RecordProperty(std::string(algorithm) + '.' + what, text(error / torch));
      EXPECT_TRUE(error <= most * torch) << algorithm << ' ' << what << ": " << error << ", PyTorch's own error is "
                                         << torch;
    };
    expect_near("h", factor, ours.h);
    expect_near("eval.h", factor, ours.eval_h);
    expect_near("gradient_by_probes", factor, ours.gradient);
    expect_near("running", factor, ours.running);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, ResNetReference,
                         testing::Values("resnet8_cifar", "resnet8_cifar-s2", "resnet14_cifar", "resnet20_cifar",
                                         "resnet18_cifar", "resnet18_cifar-s2", "resnet18_imagenet",
                                         "resnet34_cifar-s2", "resnet50_imagenet", "resnet101_imagenet"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

TEST(ResNet, NamesAndShapesAreTorchvisions) {
  Params params;
  const ResNet net{Scope(params), resnet_options(50)};
  params.allocate(Device::cpu(), DType::f32, 1);
  EXPECT_EQ(net.features(), 2048);
  EXPECT_EQ(params.parameter_count(), 25557032 - 2049000);  // torchvision's, without fc
  EXPECT_EQ(params.find("layer2.0.downsample.0.weight").shape(), (Shape{512, 1, 1, 256}));
  EXPECT_EQ(params.find("layer2.0.conv2.weight").shape(), (Shape{128, 3, 3, 128}));
  EXPECT_EQ(params.find("layer4.2.bn3.running_var").shape(), (Shape{2048}));
  EXPECT_THROW(params.find("layer2.1.downsample.0.weight"), InputError);
}

TEST(ResNet, InitialValuesAreThePapers) {
  Params params;
  const ResNet net{Scope(params), resnet_options(18)};
  params.allocate(Device::cpu(), DType::f64, 1);
  EXPECT_EQ(params.find("layer1.0.bn2.weight").to_host<double>(), std::vector<double>(64, 0));
  EXPECT_EQ(params.find("layer1.0.bn1.weight").to_host<double>(), std::vector<double>(64, 1));
  double squares = 0;
  for (const double w : params.find("layer3.1.conv1.weight").to_host<double>()) squares += w * w;
  EXPECT_NEAR(squares / (256 * 9 * 256), 2.0 / (9 * 256), 2e-5);
}

TEST(ResNet, BlocksStartAsTheIdentity) {
  Params params;
  const ResNet net{Scope(params), resnet_options(8)};
  params.allocate(Device::cpu(), DType::f64, 1);
  const Tensor x = test::random_tensor({2, 8, 8, 3}, DType::f64, 1);
  const Tensor y = net.stem(x, norm_options(Mode::train));
  EXPECT_EQ(net.stage(0, y, norm_options(Mode::train)).to_host<double>(), y.to_host<double>());
}

TEST(ResNet, GroupsReachEveryBatchNorm) {
  const auto build = [](Params& params) {
    auto net = make_backbone(Scope(params), {.arch = "resnet8", .stem = "cifar-s2", .width = 4});
    params.allocate(Device::cpu(), DType::f64, 1);
    return net;
  };
  Params together, apart;
  const auto both = build(together), separate = build(apart);
  const Tensor x = test::random_tensor({6, 16, 16, 3}, DType::f64, 1);
  const Tensor h = both->forward(x, norm_options(Mode::train, 2));
  const Tensor first = separate->forward(x.rows(0, 3), norm_options(Mode::train));
  const Tensor second = separate->forward(x.rows(3, 3), norm_options(Mode::train));
  EXPECT_LE(test::relative_error(h.rows(0, 3), first), 1e-12);
  EXPECT_LE(test::relative_error(h.rows(3, 3), second), 1e-12);
  EXPECT_LE(test::relative_error(together.buffers(), apart.buffers()), 1e-12);
}

TEST(ResNet, UnknownDepthsAndStemsAreRefused) {
  EXPECT_THROW(resnet_options(19), InputError);
  EXPECT_THROW(stem_of("cifer"), InputError);
}

}  // namespace
}  // namespace kagami
