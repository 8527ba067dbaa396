#include "kernels/augment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/augment_pixel.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"
#include "tests/kernels/augment_reference.h"

namespace kagami {
namespace {

Cpu device() {
  static Arena arena;
  return {&arena};
}

struct Image {
  int height, width;
  std::vector<std::uint8_t> pixels;
  SourceImage source(std::uint32_t sample = 0) const { return {pixels.data(), height, width, sample}; }
};

/// The image of augment_reference.py; with `bend` 0 that of the published golden values of the colour operations.
Image pattern(int height, int width, int bend = 11) {
  Image image{height, width, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.pixels.push_back(static_cast<std::uint8_t>(37 * (width * y + x) + 53 * c + bend * y * x));
  return image;
}

Image noise(int height, int width, std::uint32_t seed) {
  Image image{height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(3) * height * width)};
  Philox random(seed, Purpose::test, 0, 0, 0);
  for (auto& p : image.pixels) p = static_cast<std::uint8_t>(random.next());
  return image;
}

AugmentPolicy plain(int size, Interpolation interpolation = Interpolation::bilinear) {
  AugmentPolicy policy;
  policy.size = size;
  policy.interpolation = interpolation;
  return policy;
}

AugmentParameters whole(const Image& image) {
  AugmentParameters p;
  p.crop = {0, 0, image.height, image.width};
  return p;
}

std::vector<float> view_of(const AugmentPolicy& policy, const AugmentParameters& p, const Image& image) {
  std::vector<float> out(static_cast<std::size_t>(3) * policy.size * policy.size, NAN);
  const SourceImage source = image.source();
  augment_with(device(), policy, &p, &source, 1, out.data());
  return out;
}

double largest_difference(const float* a, const float* b, std::size_t count) {
  double worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(d <= worst)) worst = std::isnan(d) ? HUGE_VAL : d;
  }
  return worst;
}

template <std::size_t N>
void expect_close(const std::vector<float>& view, const float (&expected)[N], const char* what) {
  ASSERT_EQ(view.size(), N) << what;
  EXPECT_LE(largest_difference(view.data(), expected, N), 2e-6) << what;
}

/// Runs a test under every instruction set of this processor.
void each_isa(const std::function<void()>& test) {
  for (const char* name : {"baseline", "avx2", "avx512"}) {
    try {
      cpu::set_isa(name);
    } catch (const std::invalid_argument&) {
      continue;
    }
    SCOPED_TRACE(name);
    test();
  }
  cpu::set_isa("auto");
}

struct Golden {
  const char* name;
  std::function<void(AugmentParameters&)> set;
  double first[3], second[3], mean;  // pixel (0,0), pixel (1,2), mean of all values
};

// torchvision 0.14 on the 4x4 image ((37 (4r+q) + 53c) mod 256) / 255.
const std::vector<Golden>& goldens() {
  using P = AugmentParameters;
  const auto jitter = [](float P::*factor, float value) {
    return [=](P& p) {
      p.jitter = true;
      p.*factor = value;
    };
  };
  static const std::vector<Golden> values = {
      {"identity", [](P&) {}, {0, .207843, .415686}, {.870588, .07451, .282353}, .459477},
      {"brightness", jitter(&P::brightness, 1.4F), {0, .290980, .581961}, {1, .104314, .395294}, .598399},
      {"contrast", jitter(&P::contrast, .6F), {.183186, .307892, .432597}, {.705539, .227892, .352597}, .458872},
      {"saturation", jitter(&P::saturation, 1.4F), {0, .223224, .514204}, {1, 0, .260836}, .468762},
      {"hue +", jitter(&P::hue, .1F), {.041568, 0, .415686}, {.870588, .344314, .07451}, .394101},
      {"hue -", jitter(&P::hue, -.1F), {0, .415686, .374117}, {.870588, .07451, .76}, .513611},
      {"gray", [](P& p) { p.gray = true; }, {.169392, .169392, .169392}, {.336144, .336144, .336144}, .457964},
      {"solarize", [](P& p) { p.solarize = true; }, {0, .207843, .415686}, {.129412, .07451, .282353}, .250572},
      {"blur",
       [](P& p) {
         p.blur = true;
         p.blur_sigma = .8F;
       },
       {.346776, .554619, .533093},
       {.50541, .439688, .464942},
       .471864}};
  return values;
}

TEST(Augment, ColourGoldenValuesOfTorchvision) {
  each_isa([] {
    const Image image = pattern(4, 4, 0);
    for (const Golden& golden : goldens()) {
      SCOPED_TRACE(golden.name);
      AugmentParameters p = whole(image);
      golden.set(p);
      const std::vector<float> view = view_of(plain(4), p, image);
      double mean = 0;
      for (const float x : view) mean += x / view.size();
      EXPECT_NEAR(mean, golden.mean, 1e-5);
      for (int c = 0; c < 3; ++c) {
        EXPECT_NEAR(view[c], golden.first[c], 1e-5);
        EXPECT_NEAR(view[(1 * 4 + 2) * 3 + c], golden.second[c], 1e-5);
      }
    }
  });
}

TEST(Augment, CropResizeEqualsTorchvision) {
  using enum Interpolation;
  each_isa([] {
    AugmentParameters up, down;
    up.crop = {3, 2, 4, 5};
    down.crop = {1, 4, 21, 26};
    const Image small = pattern(12, 10), large = pattern(23, 31);
    expect_close(view_of(plain(9, bilinear), up, small), reference::crop_up_bilinear, "up bilinear");
    expect_close(view_of(plain(9, bicubic), up, small), reference::crop_up_bicubic, "up bicubic");
    expect_close(view_of(plain(5, bilinear), down, large), reference::crop_down_bilinear, "down bilinear");
    expect_close(view_of(plain(5, bicubic), down, large), reference::crop_down_bicubic, "down bicubic");
  });
}

TEST(Augment, WholeChainEqualsTorchvision) {
  each_isa([] {
    const Image image = pattern(12, 10);
    AugmentPolicy policy = plain(7);
    policy.blur_kernel = 7;
    AugmentParameters p;
    p.crop = {2, 1, 9, 8};
    p.flip = p.jitter = true;
    p.hue = 0.31F;
    p.contrast = 1.3F;
    p.brightness = 0.9F;
    p.saturation = 0.6F;
    using enum JitterOp;
    const JitterOp order[] = {hue, contrast, brightness, saturation};
    std::copy(std::begin(order), std::end(order), p.jitter_order);
    expect_close(view_of(policy, p, image), reference::chain_jitter, "jitter");
    p.blur = true;
    p.blur_sigma = 1.7F;
    expect_close(view_of(policy, p, image), reference::chain_blur, "blur");
    p.solarize = true;
    expect_close(view_of(policy, p, image), reference::chain_solarize, "solarize");
    p.solarize = false;
    p.gray = true;
    std::swap(policy.order[2], policy.order[3]);  // gray after blur
    expect_close(view_of(policy, p, image), reference::chain_gray, "gray");
  });
}

TEST(Augment, EvaluationEqualsTorchvision) {
  each_isa([] {
    const Image image = pattern(17, 29);
    const SourceImage source = image.source();
    EvaluationTransform transform;
    transform.resize = 8;
    transform.size = 6;
    std::vector<float> view(108);
    evaluation_view(device(), transform, &source, 1, view.data());
    expect_close(view, reference::evaluation_bilinear, "bilinear");
    transform.interpolation = Interpolation::bicubic;
    evaluation_view(device(), transform, &source, 1, view.data());
    expect_close(view, reference::evaluation_bicubic, "bicubic");
  });
}

TEST(Augment, IdentityParametersGiveTheImage) {
  each_isa([] {
    for (const int size : {1, 3, 5, 16, 17, 32, 47})
      for (const auto interpolation : {Interpolation::bilinear, Interpolation::bicubic}) {
        const Image image = noise(size, size, 1);
        std::vector<float> expected;
        for (const auto p : image.pixels) expected.push_back(static_cast<float>(p) / 255.0F);
        EXPECT_EQ(view_of(plain(size, interpolation), whole(image), image), expected) << size;
        const SourceImage source = image.source();
        EvaluationTransform transform;
        transform.size = transform.resize = size;
        std::vector<float> view(expected.size());
        evaluation_view(device(), transform, &source, 1, view.data());
        EXPECT_EQ(view, expected) << "evaluation " << size;
      }
  });
}

TEST(Augment, FlipMirrorsTheViewWithoutIt) {
  each_isa([] {
    const Image image = noise(20, 30, 2);
    AugmentParameters p;
    p.crop = {2, 3, 15, 21};
    p.jitter = p.blur = true;
    p.hue = 0.2F;
    p.saturation = 1.3F;
    AugmentPolicy policy = plain(19);
    policy.blur_kernel = 5;
    const std::vector<float> straight = view_of(policy, p, image);
    p.flip = true;
    const std::vector<float> mirrored = view_of(policy, p, image);
    std::vector<float> expected(straight.size());
    for (int y = 0; y < 19; ++y)
      for (int x = 0; x < 19; ++x) std::copy_n(&straight[(y * 19 + 18 - x) * 3], 3, &expected[(y * 19 + x) * 3]);
    EXPECT_LE(largest_difference(mirrored.data(), expected.data(), expected.size()), 5e-7);
  });
}

TEST(Augment, NormalisesPerChannel) {
  const Image image = noise(6, 6, 3);
  AugmentPolicy policy = plain(6);
  const float mean[] = {.4914F, .4822F, .4465F}, std[] = {.247F, .2435F, .2616F};
  std::copy_n(mean, 3, policy.mean);
  std::copy_n(std, 3, policy.std);
  const std::vector<float> view = view_of(policy, whole(image), image);
  for (std::size_t i = 0; i < view.size(); ++i)
    ASSERT_NEAR(view[i], (image.pixels[i] / 255.0 - mean[i % 3]) / std[i % 3], 1e-6);
}

/// HSV conversion by cases, as textbooks have it, in double.
pixel::Rgb<double> textbook_hue(pixel::Rgb<double> x, double turns) {
  const double value = std::max({x.r, x.g, x.b}), chroma = value - std::min({x.r, x.g, x.b});
  if (chroma == 0) return x;
  double h = value == x.r ? (x.g - x.b) / chroma : value == x.g ? 2 + (x.b - x.r) / chroma : 4 + (x.r - x.g) / chroma;
  h = std::fmod(h + 6 * turns + 12, 6);
  const int sector = static_cast<int>(h);
  const double f = h - sector, p = value - chroma, q = value - chroma * f, t = value - chroma * (1 - f);
  switch (sector) {
    case 0:
      return {value, t, p};
    case 1:
      return {q, value, p};
    case 2:
      return {p, value, t};
    case 3:
      return {p, q, value};
    case 4:
      return {t, p, value};
    default:
      return {value, p, q};
  }
}

TEST(Augment, HueEqualsTheTextbookConversion) {
  Philox random(4, Purpose::test, 0, 0, 0);
  for (int i = 0; i < 20000; ++i) {
    // 8-bit values, so that equal channels and greys occur.
    const std::uint32_t word = random.next(), mask = i % 2 ? 0xff : 0xe0;
    const pixel::Rgb<float> x{(word & mask) / 255.0F, (word >> 8 & mask) / 255.0F, (word >> 16 & mask) / 255.0F};
    const float turns = random.uniform(-0.5F, 0.5F);
    const pixel::Rgb<float> y = pixel::hue(x, turns);
    const pixel::Rgb<double> expected = textbook_hue({x.r, x.g, x.b}, turns);
    ASSERT_NEAR(y.r, expected.r, 1e-6) << x.r << ' ' << x.g << ' ' << x.b << ' ' << turns;
    ASSERT_NEAR(y.g, expected.g, 1e-6);
    ASSERT_NEAR(y.b, expected.b, 1e-6);
  }
}

/// A batch of images of several sizes under a policy that uses every stage.
struct Batch {
  std::vector<Image> images;
  AugmentPolicy policy = plain(20, Interpolation::bicubic);
  Batch() {
    for (int i = 0; i < 40; ++i) images.push_back(noise(8 + i % 7 * 6, 9 + i % 5 * 11, 100 + i));
    policy.blur_probability = policy.solarize_probability = 0.5F;
    policy.blur_kernel = 7;
  }
  std::vector<float> views(const AugmentDraw& draw, bool reversed = false) const {
    const std::size_t floats = static_cast<std::size_t>(3) * policy.size * policy.size, n = images.size();
    std::vector<SourceImage> sources;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t j = reversed ? n - 1 - i : i;
      sources.push_back(images[j].source(static_cast<std::uint32_t>(j)));
    }
    std::vector<float> out(n * floats, NAN), ordered(n * floats);
    augment(device(), policy, draw, sources.data(), static_cast<std::int64_t>(n), out.data());
    for (std::size_t i = 0; i < n; ++i)
      std::copy_n(&out[(reversed ? n - 1 - i : i) * floats], floats, &ordered[i * floats]);
    return ordered;
  }
};

TEST(Augment, SameBitsForAnyThreadCountAndBatchOrder) {
  const Batch batch;
  each_isa([&] {
    cpu::set_threads(1);
    const std::vector<float> expected = batch.views({7, 3, 1});
    for (const float x : expected) ASSERT_TRUE(x >= 0 && x <= 1) << x;
    for (const int threads : {2, 7})
      for (const bool reversed : {false, true}) {
        cpu::set_threads(threads);
        EXPECT_EQ(batch.views({7, 3, 1}, reversed), expected) << threads << ' ' << reversed;
      }
    cpu::set_threads(0);
  });
}

TEST(Augment, InstructionSetsAgree) {
  const Batch batch;
  std::vector<float> baseline;
  each_isa([&] {
    const std::vector<float> views = batch.views({8, 0, 0});
    if (baseline.empty()) baseline = views;
    EXPECT_LE(largest_difference(views.data(), baseline.data(), views.size()), 1e-6);
  });
}

TEST(Augment, SeedEpochViewAndSampleChangeTheView) {
  const Batch batch;
  const std::vector<float> views = batch.views({1, 0, 0});
  EXPECT_NE(batch.views({2, 0, 0}), views);
  EXPECT_NE(batch.views({1, 1, 0}), views);
  EXPECT_NE(batch.views({1, 0, 1}), views);
  const Image image = noise(24, 24, 5);
  const SourceImage twice[] = {image.source(0), image.source(1)};
  const std::size_t floats = 3 * 20 * 20;
  std::vector<float> out(2 * floats);
  augment(device(), batch.policy, {1, 0, 0}, twice, 2, out.data());
  EXPECT_GT(largest_difference(&out[0], &out[floats], floats), 0.01) << "two samples, two draws";
}

TEST(Augment, AnyImageAndViewSizeStaysInRange) {
  each_isa([] {
    for (const int size : {1, 2, 7, 16, 33})
      for (const auto& [height, width] : {std::pair{1, 1}, {1, 90}, {70, 2}, {40, 3}, {5, 300}}) {
        const Image image = noise(height, width, 9);
        AugmentPolicy policy = plain(size, Interpolation::bicubic);
        policy.blur_probability = size > 3 ? 1.0F : 0.0F;
        const SourceImage source = image.source();
        std::vector<float> out(static_cast<std::size_t>(3) * size * size, NAN);
        augment(device(), policy, {}, &source, 1, out.data());
        for (const float x : out) ASSERT_TRUE(x >= 0 && x <= 1) << size << ' ' << height << 'x' << width;
      }
  });
}

}  // namespace
}  // namespace kagami
