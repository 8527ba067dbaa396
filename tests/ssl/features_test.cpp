#include "ssl/features.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops.h"

namespace kagami {
namespace {

/// Images of one colour: image i is i everywhere.
ImageSet shades(int count, int side) {
  ImageSetBuilder builder;
  for (int i = 0; i < count; ++i)
    builder.add(std::vector<std::uint8_t>(static_cast<std::size_t>(side * side * 3), static_cast<std::uint8_t>(i)),
                side, side, "shade");
  return builder.finish();
}

TEST(Features, OneRowAnImageInOrderWhateverTheBatch) {
  const ImageSet set = shades(11, 4);
  const EvaluationTransform transform{.resize = 4, .size = 4};
  const Encode first_pixel = [](const Tensor& x) {
    return slice(x.view({x.shape(0), x.numel() / x.shape(0)}), 1, 0, 2);
  };
  for (const int batch : {1, 4, 11, 100}) {
    const Tensor h = features_of(set, transform, first_pixel, Device::cpu(), batch);
    ASSERT_EQ(h.shape(), Shape({11, 2}));
    for (int i = 0; i < 11; ++i) EXPECT_NEAR(h.data<float>()[2 * i], i / 255.0, 1e-6);
  }
}

TEST(Features, Pixels) {
  const Tensor x = pixels_of(shades(3, 4), {.resize = 4, .size = 4}, Device::cpu());
  EXPECT_EQ(x.shape(), Shape({3, 48}));
  EXPECT_NEAR(x.data<float>()[2 * 48 + 47], 2 / 255.0, 1e-6);
}

TEST(Features, CudaMakesTheViewsOfTheCpu) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  ImageSetBuilder builder;
  for (int i = 0; i < 5; ++i) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>((7 + i) * 9 * 3));
    for (std::size_t p = 0; p < pixels.size(); ++p) pixels[p] = static_cast<std::uint8_t>(p * (37 + i));
    builder.add(pixels, 7 + i, 9, "noise");
  }
  const ImageSet set = builder.finish();
  const EvaluationTransform transform{.resize = 6, .size = 5, .mean = {.5F, .4F, .3F}, .std = {.2F, .3F, .4F}};
  const Encode pixels = [](const Tensor& x) { return x.view({x.shape(0), x.numel() / x.shape(0)}); };
  const Tensor expected = pixels_of(set, transform, Device::cpu());
  const Tensor got = features_of(set, transform, pixels, Device::cuda(0), 2);
  ASSERT_EQ(got.shape(), expected.shape());
  for (std::int64_t i = 0; i < got.numel(); ++i)
    EXPECT_TRUE(std::abs(got.data<float>()[i] - expected.data<float>()[i]) <= 1e-5F) << i;
}

TEST(Features, MisuseIsNamed) {
  EXPECT_THROW(pixels_of(ImageSet{}, {}, Device::cpu()), InputError);
  const Encode wrong = [](const Tensor& x) { return x; };
  EXPECT_THROW(features_of(shades(2, 4), {.resize = 4, .size = 4}, wrong, Device::cpu()), InputError);
}

}  // namespace
}  // namespace kagami
