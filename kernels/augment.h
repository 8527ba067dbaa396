#pragma once
// From stored 8-bit images of any size to the float views a network sees: random augmentation, and the fixed transform
// of evaluation. One pass per view, nothing in between is rounded to 8 bits. The arithmetic is that of torchvision's
// tensor path: float in [0, 1] between operations, clamped after each, antialiased resizing.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/philox.h"
#include "kernels/step_scalars.h"

namespace kagami {

enum class Interpolation : std::uint8_t { bilinear, bicubic };

/// What can follow the crop. A policy's order is data: SimCLR flips first, MoCo v2 last.
enum class AugmentStage : std::uint8_t { flip, jitter, gray, blur, solarize };
constexpr int augment_stages = 5;

/// A distribution over augmentations. Probabilities in [0, 1]; 0 leaves the stage out. The kernels take it as valid:
/// ranges in order, blur_kernel odd and below 2 * size.
struct AugmentPolicy {
  int size = 32;  ///< views are size x size
  Interpolation interpolation = Interpolation::bilinear;
  bool random_crop = true;                              ///< RandomResizedCrop; otherwise the largest centred square
  float crop_scale_min = 0.08F, crop_scale_max = 1.0F;  ///< area of the crop / area of the image
  float crop_ratio_min = 3.0F / 4.0F, crop_ratio_max = 4.0F / 3.0F;  ///< width / height
  float flip_probability = 0.5F;                                     ///< left to right
  float jitter_probability = 0.8F;
  float brightness = 0.4F, contrast = 0.4F, saturation = 0.4F;  ///< factors are uniform in [max(0, 1-b), 1+b]
  float hue = 0.1F;                                             ///< shifts are uniform in [-hue, hue], in turns
  float gray_probability = 0.2F;
  float blur_probability = 0.0F;
  int blur_kernel = 3;                                 ///< width of the Gaussian kernel, odd
  float blur_sigma_min = 0.1F, blur_sigma_max = 2.0F;  ///< pixels
  float solarize_probability = 0.0F;
  float solarize_threshold = 0.5F;
  AugmentStage order[augment_stages] = {AugmentStage::flip, AugmentStage::jitter, AugmentStage::gray,
                                        AugmentStage::blur, AugmentStage::solarize};
  float mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};  ///< views are (x - mean) / std per channel
};

/// One stored image: [height, width, 3] 8-bit RGB, contiguous, and its number in the data set.
struct SourceImage {
  const std::uint8_t* pixels = nullptr;
  int height = 0, width = 0;
  std::uint32_t sample = 0;
};

struct CropBox {
  int top = 0, left = 0, height = 0, width = 0;
  bool operator==(const CropBox&) const = default;
};

enum class JitterOp : std::uint8_t { brightness, contrast, saturation, hue };
constexpr int jitter_ops = 4;

/// One augmentation: what was drawn from a policy for one view of one image. The default changes nothing but the size.
struct AugmentParameters {
  CropBox crop;
  bool flip = false, jitter = false, gray = false, blur = false, solarize = false;
  float brightness = 1, contrast = 1, saturation = 1, hue = 0;
  JitterOp jitter_order[jitter_ops] = {JitterOp::brightness, JitterOp::contrast, JitterOp::saturation, JitterOp::hue};
  float blur_sigma = 1;
};

/// Which numbers a batch of views is drawn with: key (seed, augmentation), counter (draw, view, sample, epoch). The
/// views do not depend on the order of the batch or on the number of threads.
struct AugmentDraw {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0, view = 0;
  const StepScalars* step = nullptr;  ///< where given (in the device's memory), its epoch is the one

  KAGAMI_HD Philox stream(std::uint32_t sample) const {
    return {seed, Purpose::augmentation, view, sample, step ? step->epoch : epoch};
  }
};

/// The view of image i under its own draw from `policy` goes to out + i*size*size*3: [count, size, size, 3].
void augment(Cpu device, const AugmentPolicy& policy, const AugmentDraw& draw, const SourceImage* images,
             std::int64_t count, float* out);

/// The same under given parameters, one per image; of the policy only size, interpolation, blur_kernel,
/// solarize_threshold, order, mean and std are used.
void augment_with(Cpu device, const AugmentPolicy& policy, const AugmentParameters* parameters,
                  const SourceImage* images, std::int64_t count, float* out);

/// The transform of evaluation: the short side is resized to `resize`, the centre [size, size] cut out, normalised.
/// Images of exactly that size are only normalised. resize >= size.
struct EvaluationTransform {
  int resize = 32, size = 32;
  Interpolation interpolation = Interpolation::bilinear;
  float mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
};

/// out: [count, size, size, 3].
void evaluation_view(Cpu device, const EvaluationTransform& transform, const SourceImage* images, std::int64_t count,
                     float* out);

#if KAGAMI_HAS_CUDA
// Images, their pixels and the parameters lie in the device's memory. T: float or bf16.
template <class T>
void augment(Cuda device, const AugmentPolicy& policy, const AugmentDraw& draw, const SourceImage* images,
             std::int64_t count, T* out);
template <class T>
void augment_with(Cuda device, const AugmentPolicy& policy, const AugmentParameters* parameters,
                  const SourceImage* images, std::int64_t count, T* out);
template <class T>
void evaluation_view(Cuda device, const EvaluationTransform& transform, const SourceImage* images, std::int64_t count,
                     T* out);
#endif

}  // namespace kagami
