#include "ssl/features.h"

#include <gtest/gtest.h>

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

TEST(Features, MisuseIsNamed) {
  EXPECT_THROW(pixels_of(ImageSet{}, {}, Device::cpu()), InputError);
  const Encode wrong = [](const Tensor& x) { return x; };
  EXPECT_THROW(features_of(shades(2, 4), {.resize = 4, .size = 4}, wrong, Device::cpu()), InputError);
}

}  // namespace
}  // namespace kagami
