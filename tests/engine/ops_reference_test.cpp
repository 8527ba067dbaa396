// Every op against PyTorch's values and gradients in f64 (tests/reference/README.md).
#include <gtest/gtest.h>

#include <functional>

#include "engine/ops.h"
#include "engine/safetensors.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

Tensor read(const std::string& name) {
  static const SafetensorsFile file(KAGAMI_SOURCE_DIR "/tests/reference/ops.safetensors");
  const StoredTensor& found = file.tensor(name);
  const Shape shape{std::span<const std::int64_t>(found.shape)};
  if (found.type == StoredType::i32) return Tensor::from(file.values<std::int32_t>(name), shape, Device::cpu());
  return Tensor::from(file.values<double>(name), shape, Device::cpu());
}

using Op = std::function<Tensor(const std::vector<Tensor>&)>;

void expect_reference(const std::string& name, const std::vector<std::string>& inputs, const Op& op) {
  SCOPED_TRACE(name);
  std::vector<Tensor> x;
  for (const std::string& input : inputs) x.push_back(read(name + "." + input).requires_grad());
  const Tensor y = op(x);
  const Tensor expected = read(name + ".y");
  EXPECT_LE(test::relative_error(y.view(expected.shape()), expected), 1e-13);
  backward(y, read(name + ".dy").view(y.shape()));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    EXPECT_LE(test::relative_error(x[i].grad(), read(name + ".d" + inputs[i])), 1e-13) << "gradient of " << inputs[i];
}

TEST(OpsReference, Elementwise) {
  expect_reference("relu", {"x"}, [](const auto& x) { return relu(x[0]); });
  expect_reference("gelu", {"x"}, [](const auto& x) { return gelu(x[0]); });
  expect_reference("sigmoid", {"x"}, [](const auto& x) { return sigmoid(x[0]); });
  expect_reference("tanh", {"x"}, [](const auto& x) { return tanh(x[0]); });
  expect_reference("exp", {"x"}, [](const auto& x) { return exp(x[0]); });
  expect_reference("log", {"x"}, [](const auto& x) { return log(x[0]); });
  expect_reference("sqrt", {"x"}, [](const auto& x) { return sqrt(x[0]); });
  expect_reference("pow_1.7", {"x"}, [](const auto& x) { return pow(x[0], 1.7); });
  expect_reference("div", {"a", "b"}, [](const auto& x) { return div(x[0], x[1]); });
}

TEST(OpsReference, Reductions) {
  expect_reference("mean", {"x"}, [](const auto& x) { return mean(x[0], 1); });
  expect_reference("max", {"x"}, [](const auto& x) { return max(x[0], 1); });
  expect_reference("var", {"x"}, [](const auto& x) { return var(x[0], 1, Variance::biased); });
  expect_reference("var_unbiased", {"x"}, [](const auto& x) { return var(x[0], 1, Variance::unbiased); });
}

TEST(OpsReference, Normalisation) {
  expect_reference("l2_normalize", {"x"}, [](const auto& x) { return l2_normalize(x[0]); });
  expect_reference("layer_norm", {"x", "weight", "bias"}, [](const auto& x) { return layer_norm(x[0], x[1], x[2]); });
}

TEST(OpsReference, SoftmaxAndCrossEntropy) {
  expect_reference("softmax", {"x"}, [](const auto& x) { return softmax(x[0], 1); });
  expect_reference("log_softmax", {"x"}, [](const auto& x) { return log_softmax(x[0], 1); });
  const Tensor labels = read("cross_entropy.labels");
  expect_reference("cross_entropy", {"x"}, [=](const auto& x) { return cross_entropy(x[0], labels); });
}

TEST(OpsReference, Gather) {
  const Tensor rows = read("gather_rows.rows");
  expect_reference("gather_rows", {"x"}, [=](const auto& x) { return gather(x[0], rows.to(x[0].device()), 0); });
}

TEST(OpsReference, Matrices) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      expect_reference(
          std::string("matmul_") + "nt"[ta] + "nt" [tb], { "a", "b" },
          [=](const auto& x) { return matmul(x[0], x[1], ta, tb); });
  expect_reference("linear", {"x", "w", "b"}, [](const auto& x) { return linear(x[0], x[1], x[2]); });
}

}  // namespace
}  // namespace kagami
