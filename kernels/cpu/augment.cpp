// Drives the augmentation of a batch: draws parameters, builds the weights of resizing and blur, calls the loops of the
// instruction set in use.
#include "kernels/augment.h"

#include <algorithm>
#include <cmath>

#include "kernels/augment_blur.h"
#include "kernels/augment_resize.h"
#include "kernels/augment_sample.h"
#include "kernels/augment_steps.h"
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

  void resize(const SourceImage& image, const resize::Resize& to, bool mirror) {
    const std::int64_t row_bytes = std::int64_t{3} * image.width;
    const CropBox& box = to.box;
    kernels().resize(image.pixels + box.top * row_bytes + std::int64_t{3} * box.left, row_bytes, box.width,
                     vertical_.weights(interpolation_, box.height, to.height, to.first_y),
                     horizontal_.weights(interpolation_, box.width, to.width, to.first_x), mirror,
                     columns_.at_least(std::size_t{48} * (static_cast<std::size_t>(box.width) + 16)), planes_);
  }

  void blur(float sigma, int kernel) {
    const int radius = kernel / 2;
    float* scratch = blur_.at_least(plane_ + size_ + 3 * static_cast<std::size_t>(radius) + 1);
    float* weights = scratch + plane_ + size_ + 2 * static_cast<std::size_t>(radius);
    blur::gaussian(sigma, radius, weights);
    kernels().blur(planes_, weights, radius, scratch);
  }

  void store(float* out) { kernels().store(planes_, mean_, inverse_std_, out); }

  /// A whole augmented view.
  void view(const AugmentPolicy& policy, const AugmentParameters& p, const SourceImage& image, float* out) {
    resize(image, resize::whole_view(p.crop, size_), p.flip);
    const AugmentSteps steps = augment_steps(policy, p);
    for (int i = 0; i < steps.count; ++i) take(steps.at[i], policy.blur_kernel);
    store(out);
  }

 private:
  void take(const AugmentStep& step, int blur_kernel) {
    using Kind = AugmentStep::Kind;
    switch (step.kind) {
      case Kind::brightness:
        return kernels().brightness(planes_, step.value);
      case Kind::contrast:
        return kernels().contrast(planes_, step.value);
      case Kind::saturation:
        return kernels().saturation(planes_, step.value);
      case Kind::hue:
        return kernels().hue(planes_, step.value);
      case Kind::gray:
        return kernels().gray(planes_);
      case Kind::blur:
        return blur(step.value, blur_kernel);
      case Kind::solarize:
        return kernels().solarize(planes_, step.value);
    }
  }

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
    maker.view(policy, sample_augmentation(policy, draw.stream(image.sample), image.height, image.width), image,
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
    maker.resize(images[i], resize::evaluation(transform, images[i].height, images[i].width), false);
    maker.store(out + i * view_floats(transform.size));
  });
}

}  // namespace kagami
