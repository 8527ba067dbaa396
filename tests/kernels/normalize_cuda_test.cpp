#if KAGAMI_HAS_CUDA
#include "kernels/normalize.h"

#include "tests/kernels/cuda_reference.h"

namespace kagami {
namespace {

template <class T>
class NormalizeCuda : public testing::Test {};
using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(NormalizeCuda, Types);

// Rows of a warp and of a block; more rows than a block of warps takes.
struct Rows {
  std::int64_t count, dim;
};
const Rows sizes[] = {{1, 1}, {9, 3}, {17, 33}, {2, 512}, {3, 513}, {2, 1111}};
const Accumulate ways[] = {Accumulate::no, Accumulate::yes};

TYPED_TEST(NormalizeCuda, L2) {
  using T = TypeParam;
  constexpr float eps = 1e-3F;
  for (const auto [rows, dim] : sizes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << dim);
    std::vector<T> x = normal_values<T>(rows * dim, 1);
    if (rows > 1)
      for (std::int64_t i = 0; i < dim; ++i) x[static_cast<std::size_t>(dim + i)] = T(1e-6F);  // shorter than eps
    const std::size_t count = x.size();
    std::vector<double> y(count), norms(static_cast<std::size_t>(rows));
    l2_normalize_forward(test_cpu(), rows, dim, static_cast<double>(eps), widened(x).data(), y.data(), norms.data());
    const OnDevice<T> from(x);
    const auto [got_y, got_norms] = on_every_device([&](const Cuda& device) {
      const OnDevice<T> to(count);
      const OnDevice<float> to_norms(static_cast<std::size_t>(rows));
      l2_normalize_forward(device, rows, dim, eps, static_cast<const T*>(from.data()), to.data(), to_norms.data());
      return std::tuple(to.host(), to_norms.host());
    });
    expect_close("y", got_y, y);
    expect_close("norms", got_norms, norms);

    const std::vector<T> dy = normal_values<T>(rows * dim, 2), before = normal_values<T>(rows * dim, 3);
    const OnDevice<T> units(got_y), slopes(dy);
    const OnDevice<float> lengths(got_norms);
    for (const Accumulate accumulate : ways) {
      std::vector<double> expected = widened(before);
      l2_normalize_backward(test_cpu(), rows, dim, static_cast<double>(eps), widened(got_y).data(),
                            widened(got_norms).data(), widened(dy).data(), 0.5, expected.data(), accumulate);
      const auto [dx] = on_every_device([&](const Cuda& device) {
        const OnDevice<T> to(before);
        l2_normalize_backward(device, rows, dim, eps, static_cast<const T*>(units.data()),
                              static_cast<const float*>(lengths.data()), static_cast<const T*>(slopes.data()), 0.5F,
                              to.data(), accumulate);
        return std::tuple(to.host());
      });
      expect_close("dx", dx, expected);
    }
  }
}

template <class T>
struct LayerCase {
  std::int64_t rows, dim;
  std::vector<T> x, dy;
  std::vector<float> gamma, beta;
  LayerCase(const Rows& size)
      : rows(size.count),
        dim(size.dim),
        x(normal_values<T>(rows * dim, 1)),
        dy(normal_values<T>(rows * dim, 2)),
        gamma(normal_values<float>(dim, 4)),
        beta(normal_values<float>(dim, 5)) {
    for (T& value : x) value = T(static_cast<Wide<T>>(value) + Wide<T>(3));  // a mean that matters
  }
  std::size_t count() const { return static_cast<std::size_t>(rows); }
};

TYPED_TEST(NormalizeCuda, Layer) {
  using T = TypeParam;
  constexpr float eps = 1e-5F;
  for (const Rows& size : sizes) {
    SCOPED_TRACE(testing::Message() << size.count << " x " << size.dim);
    const LayerCase<T> c(size);
    std::vector<double> y(c.x.size()), mean(c.count()), inverse_std(c.count());
    layer_norm_forward(test_cpu(), c.rows, c.dim, static_cast<double>(eps), widened(c.x).data(),
                       widened(c.gamma).data(), widened(c.beta).data(), y.data(), mean.data(), inverse_std.data());
    const OnDevice<T> x(c.x), slopes(c.dy);
    const OnDevice<float> gamma(c.gamma), beta(c.beta);
    const auto [got_y, got_mean, got_inverse_std] = on_every_device([&](const Cuda& device) {
      const OnDevice<T> to(c.x.size());
      const OnDevice<float> to_mean(c.count()), to_inverse_std(c.count());
      layer_norm_forward(device, c.rows, c.dim, eps, static_cast<const T*>(x.data()),
                         static_cast<const float*>(gamma.data()), static_cast<const float*>(beta.data()), to.data(),
                         to_mean.data(), to_inverse_std.data());
      return std::tuple(to.host(), to_mean.host(), to_inverse_std.host());
    });
    expect_close("y", got_y, y);
    expect_close("mean", got_mean, mean);
    expect_close("inverse_std", got_inverse_std, inverse_std);

    const std::vector<T> before = normal_values<T>(c.rows * c.dim, 3);
    const OnDevice<float> kept_mean(got_mean), kept_inverse_std(got_inverse_std);
    for (const Accumulate accumulate : ways) {
      std::vector<double> expected = widened(before);
      layer_norm_backward(test_cpu(), c.rows, c.dim, widened(c.x).data(), widened(c.gamma).data(),
                          widened(got_mean).data(), widened(got_inverse_std).data(), widened(c.dy).data(),
                          expected.data(), accumulate);
      const auto [dx] = on_every_device([&](const Cuda& device) {
        const OnDevice<T> to(before);
        layer_norm_backward(device, c.rows, c.dim, static_cast<const T*>(x.data()),
                            static_cast<const float*>(gamma.data()), static_cast<const float*>(kept_mean.data()),
                            static_cast<const float*>(kept_inverse_std.data()), static_cast<const T*>(slopes.data()),
                            to.data(), accumulate);
        return std::tuple(to.host());
      });
      // A row of one value has no gradient, only what is rounded off.
      expect_close("dx", dx, expected, size.dim == 1 ? 1 : 3 * tolerance_of<T>);
    }
  }
}

TYPED_TEST(NormalizeCuda, LayerParameters) {
  using T = TypeParam;
  for (const Rows& size : {Rows{1, 1}, Rows{7, 33}, Rows{130, 70}, Rows{400, 5}}) {
    SCOPED_TRACE(testing::Message() << size.count << " x " << size.dim);
    const LayerCase<T> c(size);
    const std::vector<float> mean = normal_values<float>(c.rows, 6), scale = normal_values<float>(c.rows, 7),
                             before = normal_values<float>(c.dim, 8);
    const OnDevice<T> x(c.x), slopes(c.dy);
    const OnDevice<float> row_mean(mean), row_scale(scale);
    for (const Accumulate accumulate : ways) {
      std::vector<double> dgamma = widened(before), dbeta = widened(before);
      layer_norm_backward_parameters(test_cpu(), c.rows, c.dim, widened(c.x).data(), widened(mean).data(),
                                     widened(scale).data(), widened(c.dy).data(), dgamma.data(), accumulate,
                                     dbeta.data(), Accumulate::yes);
      const auto gradients = [&](const Cuda& device, bool wants_gamma, bool wants_beta) {
        const OnDevice<float> to_gamma(before), to_beta(before);
        layer_norm_backward_parameters(device, c.rows, c.dim, static_cast<const T*>(x.data()),
                                       static_cast<const float*>(row_mean.data()),
                                       static_cast<const float*>(row_scale.data()),
                                       static_cast<const T*>(slopes.data()), wants_gamma ? to_gamma.data() : nullptr,
                                       accumulate, wants_beta ? to_beta.data() : nullptr, Accumulate::yes);
        return std::tuple(to_gamma.host(), to_beta.host());
      };
      const auto [got_gamma, got_beta] =
          on_every_device([&](const Cuda& device) { return gradients(device, true, true); });
      expect_close("dgamma", got_gamma, dgamma);
      expect_close("dbeta", got_beta, dbeta);
      EXPECT_TRUE(same_bits(std::get<0>(gradients(test_cuda(), false, true)), before));
      EXPECT_TRUE(same_bits(std::get<1>(gradients(test_cuda(), true, false)), before));
    }
  }
}

}  // namespace
}  // namespace kagami
#endif
