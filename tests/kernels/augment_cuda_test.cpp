#if KAGAMI_HAS_CUDA
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/augment.h"
#include "kernels/philox.h"
#include "tests/kernels/cuda_case.h"

namespace kagami {
namespace {

using Views = std::vector<float>;

/// Noise images of several sizes, on the host and on the device.
class Images {
 public:
  explicit Images(const std::vector<std::pair<int, int>>& sizes) {
    for (const auto& [height, width] : sizes) {
      const auto sample = static_cast<std::uint32_t>(host_.size());
      Philox random(sample, Purpose::test, 0, 0, 0);
      std::vector<std::uint8_t> pixels(static_cast<std::size_t>(3 * height * width));
      for (auto& p : pixels) p = static_cast<std::uint8_t>(random.next());
      device_pixels_.push_back(std::make_unique<OnDevice<std::uint8_t>>(pixels));
      pixels_.push_back(std::move(pixels));
      host_.push_back({pixels_.back().data(), height, width, 1000 + sample});
      of_device_.push_back({device_pixels_.back()->data(), height, width, 1000 + sample});
    }
    device_ = std::make_unique<OnDevice<SourceImage>>(of_device_);
  }
  std::int64_t count() const { return static_cast<std::int64_t>(host_.size()); }
  const SourceImage* host() const { return host_.data(); }
  const SourceImage* device() const { return device_->data(); }
  const SourceImage& operator[](std::size_t i) const { return host_[i]; }

 private:
  std::vector<std::vector<std::uint8_t>> pixels_;
  std::vector<std::unique_ptr<OnDevice<std::uint8_t>>> device_pixels_;
  std::vector<SourceImage> host_, of_device_;
  std::unique_ptr<OnDevice<SourceImage>> device_;
};

double largest_difference(const Views& a, const Views& b) {
  double worst = a.size() == b.size() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(d <= worst)) worst = std::isnan(d) ? HUGE_VAL : d;
  }
  return worst;
}

/// What `make(device, images, out)` writes, by both back ends.
template <class Make>
Views on_cpu(const Images& images, int size, Make make) {
  Arena arena;
  Views out(static_cast<std::size_t>(images.count() * 3 * size * size));
  make(Cpu{&arena}, images.host(), out.data());
  return out;
}
template <class T = float, class Make>
std::vector<T> on_cuda(const Images& images, int size, Make make, Cuda device = test_cuda()) {
  const OnDevice<T> out(static_cast<std::size_t>(images.count() * 3 * size * size));
  make(device, images.device(), out.data());
  return out.host();
}

AugmentPolicy every_stage(int size) {
  AugmentPolicy policy;
  policy.size = size;
  policy.blur_probability = policy.solarize_probability = 0.5F;
  policy.blur_kernel = size > 3 ? 7 : 1;
  policy.hue = 0.3F;
  const float mean[] = {.4914F, .4822F, .4465F}, std[] = {.247F, .2435F, .2616F};
  std::copy_n(mean, 3, policy.mean);
  std::copy_n(std, 3, policy.std);
  return policy;
}

constexpr double tolerance = 1e-5;  // of values over a std of 1/4: about 2e-6 of the range of the image

TEST(AugmentCuda, DrawsTheViewsOfTheCpu) {
  const Images images({{8, 9}, {14, 20}, {20, 31}, {26, 9}, {32, 32}, {5, 60}, {1, 1}, {3, 40}});
  under_every_schedule([&] {
    for (const auto interpolation : {Interpolation::bilinear, Interpolation::bicubic})
      for (const int size : {1, 7, 20}) {
        AugmentPolicy policy = every_stage(size);
        policy.interpolation = interpolation;
        for (const std::uint32_t view : {0U, 1U}) {
          const auto make = [&](auto device, const SourceImage* from, auto* out) {
            augment(device, policy, {7, 3, view}, from, images.count(), out);
          };
          const double error = largest_difference(on_cuda(images, size, make), on_cpu(images, size, make));
          EXPECT_TRUE(error <= tolerance) << size << ": " << error;
        }
      }
  });
}

TEST(AugmentCuda, TheEpochCanBeReadInTheDevicesMemory) {
  const Images images({{14, 20}, {9, 9}});
  const AugmentPolicy policy = every_stage(7);
  StepScalars scalars;
  scalars.epoch = 3;
  const OnDevice<StepScalars> step(std::vector<StepScalars>{scalars});
  const auto views = [&](const AugmentDraw& draw) {
    return on_cuda(images, 7, [&](auto device, const SourceImage* from, float* out) {
      augment(device, policy, draw, from, images.count(), out);
    });
  };
  EXPECT_EQ(views({7, 99, 1, step.data()}), views({7, 3, 1}));
}

TEST(AugmentCuda, EveryOperationAlone) {
  using P = AugmentParameters;
  const Images images({{12, 10}});
  const auto expect_same = [&](const char* what, auto set) {
    const AugmentPolicy policy = every_stage(9);
    P p;
    p.crop = {2, 1, 9, 8};
    set(p);
    const OnDevice<P> parameters(std::vector<P>{p});
    const Views cuda = on_cuda(images, 9, [&](auto device, const SourceImage* from, float* out) {
      augment_with(device, policy, parameters.data(), from, 1, out);
    });
    const Views cpu = on_cpu(images, 9, [&](auto device, const SourceImage* from, float* out) {
      augment_with(device, policy, &p, from, 1, out);
    });
    EXPECT_TRUE(largest_difference(cuda, cpu) <= tolerance) << what << ": " << largest_difference(cuda, cpu);
  };
  const auto jitter = [](float P::*factor, float value) {
    return [=](P& p) {
      p.jitter = true;
      p.*factor = value;
    };
  };
  expect_same("none", [](P&) {});
  expect_same("flip", [](P& p) { p.flip = true; });
  expect_same("brightness", jitter(&P::brightness, 1.4F));
  expect_same("contrast", jitter(&P::contrast, 0.6F));
  expect_same("saturation", jitter(&P::saturation, 1.4F));
  expect_same("hue", jitter(&P::hue, -0.3F));
  expect_same("gray", [](P& p) { p.gray = true; });
  expect_same("blur", [](P& p) { p.blur = true; });
  expect_same("solarize", [](P& p) { p.solarize = true; });
  expect_same("all", [](P& p) {
    p.flip = p.jitter = p.blur = p.solarize = true;
    p.brightness = p.contrast = 1.2F;
    p.saturation = 0.7F;
    p.hue = 0.1F;
  });
}

TEST(AugmentCuda, ViewsLargerThanSharedMemory) {
  const Images images({{90, 100}, {40, 200}, {64, 64}});
  const AugmentPolicy policy = every_stage(70);
  const auto make = [&](auto device, const SourceImage* from, auto* out) {
    augment(device, policy, {5, 1, 0}, from, images.count(), out);
  };
  const Views first = on_cuda(images, 70, make);
  const double error = largest_difference(first, on_cpu(images, 70, make));
  EXPECT_TRUE(error <= tolerance) << error;
  Cuda device = test_cuda();
  for (const int multiprocessors : {1, 7, 132}) {
    device.multiprocessors = multiprocessors;
    EXPECT_EQ(on_cuda(images, 70, make, device), first) << multiprocessors;
  }
}

TEST(AugmentCuda, EvaluationIsThatOfTheCpu) {
  const Images images({{17, 29}, {8, 8}, {300, 40}});
  for (const auto interpolation : {Interpolation::bilinear, Interpolation::bicubic}) {
    EvaluationTransform transform;
    transform.resize = 8;
    transform.size = 6;
    transform.interpolation = interpolation;
    const auto make = [&](auto device, const SourceImage* from, auto* out) {
      evaluation_view(device, transform, from, images.count(), out);
    };
    const double error = largest_difference(on_cuda(images, 6, make), on_cpu(images, 6, make));
    EXPECT_TRUE(error <= 1e-6) << error;
  }
}

TEST(AugmentCuda, Bf16IsTheFloatViewRounded) {
  const Images images({{20, 31}, {32, 32}});
  const AugmentPolicy policy = every_stage(12);
  const auto make = [&](auto device, const SourceImage* from, auto* out) {
    augment(device, policy, {3, 0, 1}, from, images.count(), out);
  };
  const Views exact = on_cuda(images, 12, make);
  const std::vector<bf16> rounded = on_cuda<bf16>(images, 12, make);
  for (std::size_t i = 0; i < exact.size(); ++i) ASSERT_EQ(rounded[i].bits, bf16(exact[i]).bits);
}

}  // namespace
}  // namespace kagami
#endif
