#include "engine/indices.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;

Tensor indices_on(const Device& device, const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, device);
}

/// The message of the InputError that `run`, or else the wait for the device, throws.
template <class F>
std::string message_of(const Device& device, F&& run) {
  try {
    run();
    device.synchronize();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Indices, GoodOnesAreKeptAndCounted) {
  for (const Device& device : test::every_device()) {
    const Tensor given = indices_on(device, {4, 0, 7, 2, 7});
    const CheckedIndices kept =
        checked_indices(given, {.extent = 5, .ignores = true, .ignored = 7, .substitute = -1}, "test", "");
    EXPECT_EQ(kept.indices.to_host<std::int32_t>(), (std::vector<std::int32_t>{4, 0, -1, 2, -1})) << device;
    EXPECT_EQ(kept.valid.item(), 3) << device;
    EXPECT_EQ(given.to_host<std::int32_t>()[2], 7) << "the caller's indices are as they were";
  }
}

// Nothing outside is read or written (AddressSanitizer sees it in the emulated build), and nobody is told nothing.
TEST(Indices, BadOnesAreNeverUsedAndAlwaysNamed) {
  for (const Device& device : test::every_device()) {
    Tensor x = random_tensor({3, 4}, DType::f32, 1).to(device).requires_grad();
    for (const std::int32_t bad : {3, -1, 1 << 30}) {
      const std::string gathered = message_of(device, [&] {
        backward(sum(gather(x, indices_on(device, {2, bad}), 0)));
      });
      EXPECT_EQ(gathered, text("gather: indices[1] = ", bad, " is outside axis 0 of x (", describe(x), ")"));
    }
    const std::string label = message_of(device, [&] { backward(cross_entropy(x, indices_on(device, {3, 0, 4}))); });
    EXPECT_EQ(label, text("cross_entropy: labels[2] = 4 is none of the 4 classes (logits: ", describe(x), ")"));
    EXPECT_EQ(message_of(device, [&] { gather(x, indices_on(device, {2, 0}), 0); }), "") << "told once";
  }
}

TEST(Indices, AHostReadTellsToo) {
  for (const Device& device : test::every_device()) {
    const Tensor x = random_tensor({3, 4}, DType::f32, 1).to(device);
    EXPECT_THROW(gather(x, indices_on(device, {9}), 1).to_host<float>(), InputError) << device;
    EXPECT_EQ(gather(x, indices_on(device, {1}), 1).to_host<float>().size(), 3U);
  }
}

TEST(Indices, CrossEntropyTakesLabelsOfTheHost) {
  const Tensor x = random_tensor({3, 4}, DType::f32, 1), labels = indices_on(Device::cpu(), {1, 9, 0});
  for (const Device& device : test::every_device())
    EXPECT_NEAR(cross_entropy(x.to(device), labels, 9).item(), cross_entropy(x, labels, 9).item(), 1e-6) << device;
}

TEST(Indices, NoLabelAtAllIsAnError) {
  for (const Device& device : test::every_device()) {
    const Tensor x = random_tensor({2, 4}, DType::f32, 1).to(device);
    const auto loss_of = [&](const std::vector<std::int32_t>& labels) {
      return message_of(device, [&] { cross_entropy(x, indices_on(device, labels), 9); });
    };
    EXPECT_EQ(loss_of({9, 9}), text("cross_entropy: no row has a label (logits: ", describe(x), ")"));
    EXPECT_EQ(loss_of({9, 3}), "");
    EXPECT_EQ(loss_of({9, 4}),
              text("cross_entropy: labels[1] = 4 is none of the 4 classes (logits: ", describe(x), ")"));
  }
}

}  // namespace
}  // namespace kagami
