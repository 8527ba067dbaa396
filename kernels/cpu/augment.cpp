// Drives the augmentation of a batch: draws parameters, builds the weights of resizing and blur, calls the loops of the
// instruction set in use.
#include "kernels/augment.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "kernels/augment_resize.h"
#include "kernels/augment_sample.h"
#include "kernels/cpu/augment_kernels.h"
#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

const cpu::AugmentKernels& kernels() {
  return cpu::select(cpu::baseline::augment_kernels, cpu::avx2::augment_kernels, cpu::avx512::augment_kernels);
}

/// Images a thread takes at a time: about 64 thousand output pixels.
std::int64_t grain(int size) { return std::max<std::int64_t>(1, 65536 / (static_cast<std::int64_t>(size) * size)); }

/// Scratch memory that grows to the largest image of a piece of the batch.
class Floats {
 public:
  explicit Floats(Arena* arena) : arena_(arena) {}
  ~Floats() {
    if (data_) arena_->release(data_);
  }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* at_least(std::size_t count) {
    if (count > size_) {
      if (data_) arena_->release(data_);
      data_ = nullptr;
      data_ = static_cast<float*>(arena_->allocate(count * sizeof(float), MemoryUse::scratch));
      size_ = count;
    }
    return data_;
  }

 private:
  Arena* arena_;
  float* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Weights of one axis, for the outputs [first, first + size) of a resize from `in` to `out` pixels.
class Axis {
 public:
  explicit Axis(Arena* arena, int size)
      : taps_(arena, 2 * static_cast<std::size_t>(size)), weights_(arena), size_(size) {}

  cpu::AxisWeights weights(Interpolation interpolation, int in, int out, int first) {
    const int stride = resize::most_taps(interpolation, in, out);
    float* w = weights_.at_least(static_cast<std::size_t>(stride) * size_);
    for (int i = 0; i < size_; ++i) {
      const resize::Taps taps =
          resize::taps_of(interpolation, in, out, first + i, w + static_cast<std::size_t>(i) * stride);
      taps_[i] = taps.first;
      taps_[size_ + i] = taps.count;
    }
    return {taps_.data(), taps_.data() + size_, w, stride};
  }

 private:
  Scratch<int> taps_;
  Floats weights_;
  int size_;
};

/// Gaussian of width 2 radius + 1, as torchvision samples it; weights[0] is the centre's.
void gaussian(float sigma, int radius, float* weights) {
  float total = 0;
  for (int i = 0; i <= radius; ++i) {
    const float z = static_cast<float>(i) / sigma;
    weights[i] = std::exp(-0.5F * z * z);
    total += (i == 0 ? 1.0F : 2.0F) * weights[i];
  }
  for (int i = 0; i <= radius; ++i) weights[i] /= total;
}

/// What one thread needs to make views of one size, one after another.
class ViewMaker {
 public:
  ViewMaker(Arena* arena, int size, Interpolation interpolation, const float* mean, const float* std)
      : size_(size),
        interpolation_(interpolation),
        plane_(static_cast<std::size_t>(size) * size + cpu::plane_padding),
        planes_memory_(arena, 3 * plane_),
        planes_{{planes_memory_.data(), planes_memory_.data() + plane_, planes_memory_.data() + 2 * plane_}, size},
        vertical_(arena, size),
        horizontal_(arena, size),
        columns_(arena),
        blur_(arena) {
    for (int c = 0; c < 3; ++c) {
      mean_[c] = mean[c];
      inverse_std_[c] = 1.0F / std[c];
    }
  }

  /// The box resized to out_height x out_width, of that the size x size pixels from (first_y, first_x) on.
  void resize(const SourceImage& image, const CropBox& box, int out_height, int out_width, int first_y, int first_x,
              bool mirror) {
    const std::int64_t row_bytes = std::int64_t{3} * image.width;
    kernels().resize(image.pixels + box.top * row_bytes + std::int64_t{3} * box.left, row_bytes, box.width,
                     vertical_.weights(interpolation_, box.height, out_height, first_y),
                     horizontal_.weights(interpolation_, box.width, out_width, first_x), mirror,
                     columns_.at_least(std::size_t{48} * (static_cast<std::size_t>(box.width) + 16)), planes_);
  }

  void jitter(const AugmentParameters& p) {
    for (const JitterOp op : p.jitter_order) switch (op) {
        case JitterOp::brightness:
          if (p.brightness != 1.0F) kernels().brightness(planes_, p.brightness);
          break;
        case JitterOp::contrast:
          if (p.contrast != 1.0F) kernels().contrast(planes_, p.contrast);
          break;
        case JitterOp::saturation:
          if (p.saturation != 1.0F) kernels().saturation(planes_, p.saturation);
          break;
        case JitterOp::hue:
          if (p.hue != 0.0F) kernels().hue(planes_, p.hue);
          break;
      }
  }

  void blur(float sigma, int kernel) {
    const int radius = kernel / 2;
    float* scratch = blur_.at_least(plane_ + size_ + 3 * static_cast<std::size_t>(radius) + 1);
    float* weights = scratch + plane_ + size_ + 2 * static_cast<std::size_t>(radius);
    gaussian(sigma, radius, weights);
    kernels().blur(planes_, weights, radius, scratch);
  }

  void store(float* out) { kernels().store(planes_, mean_, inverse_std_, out); }

  /// A whole augmented view.
  void view(const AugmentPolicy& policy, const AugmentParameters& p, const SourceImage& image, float* out) {
    // A mirror image commutes with everything else (pixelwise, or symmetric), so it costs nothing here.
    resize(image, p.crop, size_, size_, 0, 0, p.flip);
    for (const AugmentStage stage : policy.order) switch (stage) {
        case AugmentStage::flip:
          break;
        case AugmentStage::jitter:
          if (p.jitter) jitter(p);
          break;
        case AugmentStage::gray:
          if (p.gray) kernels().gray(planes_);
          break;
        case AugmentStage::blur:
          if (p.blur) blur(p.blur_sigma, policy.blur_kernel);
          break;
        case AugmentStage::solarize:
          if (p.solarize) kernels().solarize(planes_, policy.solarize_threshold);
          break;
      }
    store(out);
  }

 private:
  int size_;
  Interpolation interpolation_;
  std::size_t plane_;
  Scratch<float> planes_memory_;
  cpu::Planes planes_;
  Axis vertical_, horizontal_;
  Floats columns_, blur_;
  float mean_[3], inverse_std_[3];
};

std::int64_t view_floats(int size) { return std::int64_t{3} * size * size; }

/// Calls make(maker, i) for every image of a batch, on all threads.
template <class Settings, class Make>
void each_view(Cpu device, const Settings& settings, std::int64_t count, const Make& make) {
  cpu::parallel_for(count, grain(settings.size), [&](std::int64_t first, std::int64_t last) {
    ViewMaker maker(device.memory, settings.size, settings.interpolation, settings.mean, settings.std);
    for (std::int64_t i = first; i < last; ++i) make(maker, i);
  });
}

}  // namespace

void augment(Cpu device, const AugmentPolicy& policy, const AugmentDraw& draw, const SourceImage* images,
             std::int64_t count, float* out) {
  each_view(device, policy, count, [&](ViewMaker& maker, std::int64_t i) {
    const SourceImage& image = images[i];
    const Philox random(draw.seed, Purpose::augmentation, draw.view, image.sample, draw.epoch);
    maker.view(policy, sample_augmentation(policy, random, image.height, image.width), image,
               out + i * view_floats(policy.size));
  });
}

void augment_with(Cpu device, const AugmentPolicy& policy, const AugmentParameters* parameters,
                  const SourceImage* images, std::int64_t count, float* out) {
  each_view(device, policy, count, [&](ViewMaker& maker, std::int64_t i) {
    maker.view(policy, parameters[i], images[i], out + i * view_floats(policy.size));
  });
}

void evaluation_view(Cpu device, const EvaluationTransform& transform, const SourceImage* images, std::int64_t count,
                     float* out) {
  each_view(device, transform, count, [&](ViewMaker& maker, std::int64_t i) {
    const SourceImage& image = images[i];
    const std::int64_t short_side = std::min(image.height, image.width);
    const int height = static_cast<int>(std::int64_t{transform.resize} * image.height / short_side);
    const int width = static_cast<int>(std::int64_t{transform.resize} * image.width / short_side);
    const auto centre = [&](int length) { return static_cast<int>(std::rint((length - transform.size) / 2.0)); };
    maker.resize(image, {0, 0, image.height, image.width}, height, width, centre(height), centre(width), false);
    maker.store(out + i * view_floats(transform.size));
  });
}

}  // namespace kagami
