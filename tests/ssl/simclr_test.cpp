// SimCLR as a method: its loss is the definition's, both views train both networks, evaluation changes nothing.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/autograd.h"
#include "kernels/cpu/parallel.h"
#include "ssl/method.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;

PretrainConfig small_config() {
  PretrainConfig config;
  method_info("simclr").defaults(config);
  config.arch = "resnet8";
  config.width = 4;
  config.projector_hidden = 12;
  config.projector_dim = 6;
  config.view_policies[0].size = config.view_policies[1].size = 8;
  return config;
}

std::unique_ptr<Method> make(const PretrainConfig& config) {
  return method_info("simclr").make(config, Device::cpu(), DType::f64);
}

/// Blocks that start as the identity hide their inside, and their sums lie exactly on ReLU's kink.
void open_blocks(Method& method) {
  for (const Segment& s : method.params().segments())
    if (s.name.ends_with("bn2.weight")) method.params().find(s.name).detach().fill(0.5);
}

Views random_views(int images) { return views_of(random_tensor({2 * images, 8, 8, 3}, DType::f64, 3), 2); }

class SimClr : public ::testing::Test {
 protected:
  SimClr() { cpu::set_threads(1); }  // networks this small only wait for a second thread
  ~SimClr() override { cpu::set_threads(0); }
};

/// The paper's algorithm 1, term by term.
struct Definition {
  Definition(const Tensor& z, double temperature) {
    const std::int64_t rows = z.shape(0), d = z.shape(1);
    const std::vector<double> v = z.to_host<double>();
    const auto similarity = [&](std::int64_t i, std::int64_t k) {
      double ik = 0, ii = 0, kk = 0;
      for (std::int64_t j = 0; j < d; ++j) {
        const double a = v[static_cast<std::size_t>(i * d + j)], b = v[static_cast<std::size_t>(k * d + j)];
        ik += a * b;
        ii += a * a;
        kk += b * b;
      }
      return ik / std::sqrt(ii * kk);
    };
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t own = (i + rows / 2) % rows;
      double total = 0;
      bool nearest = true;
      for (std::int64_t k = 0; k < rows; ++k) {
        if (k == i) continue;
        total += std::exp(similarity(i, k) / temperature);
        if (k != own) nearest = nearest && similarity(i, own) > similarity(i, k);
      }
      loss += (std::log(total) - similarity(i, own) / temperature) / static_cast<double>(rows);
      accuracy += static_cast<double>(nearest) / static_cast<double>(rows);
    }
  }
  double loss = 0, accuracy = 0;
};

TEST_F(SimClr, ItsLossIsTheDefinition) {
  const auto method = make(small_config());
  const Tensor loss = method->loss(random_views(5));
  const Definition expected(method->compared(), 0.5);
  EXPECT_EQ(method->compared().shape(), Shape({10, 6}));
  EXPECT_NEAR(loss.item(), expected.loss, 1e-12);
  EXPECT_NEAR(method->contrastive_accuracy().item(), expected.accuracy, 1e-12);
}

TEST_F(SimClr, EveryParameterIsTrained) {
  const auto method = make(small_config());
  open_blocks(*method);
  backward(method->loss(random_views(6)));
  for (const Segment& s : method->params().segments()) {
    double norm = 0;
    for (const double g : method->params().find(s.name).grad().to_host<double>()) norm += g * g;
    EXPECT_GT(norm, 1e-20) << s.name;
  }
}

// A full gradient check through augmentation's output: encoder, projector, batch norm per view, loss.
TEST_F(SimClr, GradientsAgreeWithDifferences) {
  const auto method = make(small_config());
  open_blocks(*method);
  const Views views = random_views(4);
  backward(method->loss(views));
  const NoGrad no_grad;
  for (const Segment& s : method->params().segments()) {
    const Tensor parameter = method->params().find(s.name);
    double* value = parameter.data<double>() + s.size() / 2;
    const double at = *value, step = 1e-6, analytic = parameter.grad().data<double>()[s.size() / 2];
    *value = at + step;
    const double above = method->loss(views).item();
    *value = at - step;
    const double below = method->loss(views).item();
    *value = at;
    EXPECT_NEAR(analytic, (above - below) / (2 * step), 1e-6 * (1 + std::abs(analytic))) << s.name;
  }
}

TEST_F(SimClr, BatchNormPerViewOrJoint) {
  PretrainConfig joint = small_config();
  joint.bn_views = "joint";
  const Views views = random_views(5);
  EXPECT_NE(make(small_config())->loss(views).item(), make(joint)->loss(views).item());
  const Tensor twice = Tensor::empty({10, 8, 8, 3}, DType::f64, Device::cpu());
  for (int view = 0; view < 2; ++view) twice.rows(5 * view, 5).copy_from(views.images[0]);
  const Views same = views_of(twice, 2);  // equal statistics either way
  EXPECT_NEAR(make(small_config())->loss(same).item(), make(joint)->loss(same).item(), 1e-12);
}

TEST_F(SimClr, EncodingUsesRunningStatisticsAndLeavesThemAlone) {
  const auto method = make(small_config());
  const std::vector<double> initial = method->params().buffers().to_host<double>();
  method->loss(random_views(5));
  const std::vector<double> trained = method->params().buffers().to_host<double>();
  EXPECT_NE(initial, trained);
  const Tensor images = random_tensor({6, 8, 8, 3}, DType::f64, 9);
  const Tensor h = method->encode(images), alone = method->encode(images.rows(2, 1));
  EXPECT_FALSE(h.wants_grad());
  EXPECT_LT(test::relative_error(alone, h.rows(2, 1)), 1e-12);
  EXPECT_EQ(method->project(h).shape(), Shape({6, 6}));
  EXPECT_EQ(method->params().buffers().to_host<double>(), trained);
}

TEST_F(SimClr, ItsEncoderHasTorchvisionsNames) {
  const auto method = make(small_config());
  std::vector<std::string> names;
  for (const NamedTensor& t : method->params().state_dict()) names.push_back(t.name);
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  EXPECT_TRUE(has("encoder.conv1.weight"));
  EXPECT_TRUE(has("encoder.layer2.0.downsample.1.running_var"));
  EXPECT_TRUE(has("projector.0.weight"));
  for (const std::string& name : names)
    EXPECT_TRUE(name.starts_with("encoder.") || name.starts_with("projector.")) << name;
}

TEST(Method, UnknownNamesAreAnsweredWithTheNearest) {
  try {
    method_info("simclir");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("'simclr'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace kagami
