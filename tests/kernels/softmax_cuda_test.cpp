#if KAGAMI_HAS_CUDA
#include "kernels/softmax.h"

#include "tests/kernels/cuda_reference.h"

namespace kagami {
namespace {

template <class T>
class SoftmaxCuda : public testing::Test {};
using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(SoftmaxCuda, Types);

// Rows of a warp, of a block and of a thread.
const SoftmaxShape shapes[] = {{1, 1, 1}, {9, 3, 1}, {5, 33, 1}, {2, 512, 1}, {3, 700, 1}, {2, 5, 3}, {3, 40, 130}};

std::int64_t size_of(const SoftmaxShape& shape) { return shape.outer * shape.count * shape.inner; }

TYPED_TEST(SoftmaxCuda, Forward) {
  using T = TypeParam;
  for (const SoftmaxShape& shape : shapes)
    for (const bool logarithm : {false, true}) {
      SCOPED_TRACE(testing::Message() << shape.count << " x " << shape.inner << (logarithm ? " logarithm" : ""));
      const std::vector<T> x = normal_values<T>(size_of(shape), 1, 4);
      std::vector<double> expected(x.size());
      softmax_forward(test_cpu(), shape, logarithm, widened(x).data(), expected.data());
      const OnDevice<T> from(x);
      const auto [y] = on_every_device([&](const Cuda& device) {
        const OnDevice<T> to(x.size());
        softmax_forward(device, shape, logarithm, static_cast<const T*>(from.data()), to.data());
        return std::tuple(to.host());
      });
      expect_close("y", y, expected);
    }
}

TYPED_TEST(SoftmaxCuda, Backward) {
  using T = TypeParam;
  for (const SoftmaxShape& shape : shapes)
    for (const bool logarithm : {false, true})
      for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
        SCOPED_TRACE(testing::Message() << shape.count << " x " << shape.inner << (logarithm ? " logarithm" : ""));
        std::vector<double> exact(static_cast<std::size_t>(size_of(shape)));
        softmax_forward(test_cpu(), shape, logarithm, widened(normal_values<float>(size_of(shape), 1, 3)).data(),
                        exact.data());
        std::vector<T> y;
        for (const double value : exact) y.push_back(T(static_cast<float>(value)));
        const std::vector<T> dy = normal_values<T>(size_of(shape), 2), before = normal_values<T>(size_of(shape), 3);
        std::vector<double> expected = widened(before);
        softmax_backward(test_cpu(), shape, logarithm, widened(y).data(), widened(dy).data(), expected.data(),
                         accumulate);
        const OnDevice<T> from_y(y), from_dy(dy);
        const auto [dx] = on_every_device([&](const Cuda& device) {
          const OnDevice<T> to(before);
          softmax_backward(device, shape, logarithm, static_cast<const T*>(from_y.data()),
                           static_cast<const T*>(from_dy.data()), to.data(), accumulate);
          return std::tuple(to.host());
        });
        expect_close("dx", dx, expected);
      }
}

TYPED_TEST(SoftmaxCuda, LargeValuesDoNotOverflow) {
  using T = TypeParam;
  const std::vector<T> x = {T(1e30F), T(1e30F), T(-1e30F), T(300.0F), T(-INFINITY), T(302.0F)};
  const OnDevice<T> from(x);
  const auto [y] = on_every_device([&](const Cuda& device) {
    const OnDevice<T> to(x.size());
    softmax_forward(device, {2, 3, 1}, false, static_cast<const T*>(from.data()), to.data());
    return std::tuple(to.host());
  });
  const double share = 1 / (1 + std::exp(2.0));
  expect_close("y", y, {.5, .5, 0, share, 0, 1 - share});
}

TYPED_TEST(SoftmaxCuda, CrossEntropy) {
  using T = TypeParam;
  for (const std::int64_t classes : {1, 10, 129, 1000}) {
    SCOPED_TRACE(classes);
    constexpr std::int64_t rows = 11;
    const std::vector<T> logits = normal_values<T>(rows * classes, 1, 4);
    std::vector<std::int32_t> labels;
    for (std::int64_t r = 0; r < rows; ++r) labels.push_back(r == 4 ? -1 : static_cast<std::int32_t>(r * 7 % classes));
    std::vector<double> log_probabilities(logits.size()), losses(rows);
    cross_entropy_forward(test_cpu(), rows, classes, widened(logits).data(), labels.data(), log_probabilities.data(),
                          losses.data());
    const OnDevice<T> from(logits);
    const OnDevice<std::int32_t> of_rows(labels);
    const auto [kept, lost] = on_every_device([&](const Cuda& device) {
      const OnDevice<float> to(logits.size()), loss(rows);
      cross_entropy_forward(device, rows, classes, static_cast<const T*>(from.data()), of_rows.data(), to.data(),
                            loss.data());
      return std::tuple(to.host(), loss.host());
    });
    expect_close("log_probabilities", kept, log_probabilities);
    expect_close("losses", lost, losses);

    const std::vector<T> before = normal_values<T>(rows * classes, 3, 0.1F);
    const OnDevice<float> saved(kept), slope(std::vector<float>{0.7F});
    constexpr std::int32_t valid = 10;
    const OnDevice<std::int32_t> count(std::vector<std::int32_t>{valid});
    for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
      std::vector<double> expected = widened(before);
      const double dloss = 0.7F;
      cross_entropy_backward(test_cpu(), rows, classes, static_cast<const double*>(log_probabilities.data()),
                             labels.data(), &dloss, &valid, expected.data(), accumulate);
      const auto [dlogits] = on_every_device([&](const Cuda& device) {
        const OnDevice<T> to(before);
        cross_entropy_backward(device, rows, classes, static_cast<const float*>(saved.data()), of_rows.data(),
                               static_cast<const float*>(slope.data()), count.data(), to.data(), accumulate);
        return std::tuple(to.host());
      });
      expect_close("dlogits", dlogits, expected, classes == 1 ? 1 : tolerance_of<T>);
    }
  }
}

}  // namespace
}  // namespace kagami
#endif
