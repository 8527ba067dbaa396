// Augmentation: a block makes a view. It goes over the view's pixels as often as it must, not once per operation: a run
// of operations on single pixels is one pass, a contrast begins a pass (it needs the mean of what came before), and so
// does a blur. The view stays in shared memory where it fits, else in scratch memory of the block's own.
//
// The resize makes an output pixel from its window of the image in one go, columns first as the CPU does. Windows
// overlap, so columns are summed about twice (four times for bicubic); in return no source is too large.
// ptxas: the steps of a view are an array that is indexed at run time
#include "kernels/augment.h"

#include <algorithm>

#include "kernels/augment_blur.h"
#include "kernels/augment_pixel.h"
#include "kernels/augment_resize.h"
#include "kernels/augment_sample.h"
#include "kernels/augment_steps.h"
#include "kernels/cuda/cuda.h"

namespace kagami {
namespace {

using Pixel = pixel::Rgb<float>;

/// What all views of a batch share.
struct Settings {
  int size, blur_radius;
  Interpolation interpolation;
  float mean[3], inverse_std[3];

  template <class Options>
  Settings(const Options& options, int blur_kernel)
      : size(options.size), blur_radius(blur_kernel / 2), interpolation(options.interpolation) {
    for (int c = 0; c < 3; ++c) {
      mean[c] = options.mean[c];
      inverse_std[c] = 1.0F / options.std[c];
    }
  }
};

/// How one view is made.
struct Plan {
  resize::Resize resize;
  bool mirror;
  AugmentSteps steps;
};

// Where plans come from.
struct DrawnPlans {
  AugmentPolicy policy;
  AugmentDraw draw;
  __device__ Plan operator()(std::int64_t, const SourceImage& image) const {
    const AugmentParameters p = sample_augmentation(policy, draw.stream(image.sample), image.height, image.width);
    return {resize::whole_view(p.crop, policy.size), p.flip, augment_steps(policy, p)};
  }
};
struct GivenPlans {
  AugmentPolicy policy;
  const AugmentParameters* parameters;
  __device__ Plan operator()(std::int64_t i, const SourceImage&) const {
    const AugmentParameters p = parameters[i];
    return {resize::whole_view(p.crop, policy.size), p.flip, augment_steps(policy, p)};
  }
};
struct EvaluationPlans {
  EvaluationTransform transform;
  __device__ Plan operator()(std::int64_t, const SourceImage& image) const {
    return {resize::evaluation(transform, image.height, image.width), false, {}};
  }
};

/// The window of one row or column of the view.
struct ScaledWindow {
  resize::Window window;
  float inverse_total;
  __device__ float weight(Interpolation interpolation, int k) const {
    return window.raw(interpolation, k) * inverse_total;
  }
};

/// The memory of one view: windows of rows and of columns, the blur's weights, the view and its blur along x, each as
/// three planes (the latter only if there is a blur).
struct Workspace {
  ScaledWindow *rows, *columns;
  float *weights, *view, *blurred;

  KAGAMI_HD static std::size_t bytes(const Settings& settings) {
    const std::size_t size = settings.size, planes = settings.blur_radius > 0 ? 6 : 3;
    return 2 * sizeof(ScaledWindow) * size + sizeof(float) * (size + planes * size * size);
  }
  __device__ Workspace(unsigned char* memory, int size)
      : rows(reinterpret_cast<ScaledWindow*>(memory)),
        columns(rows + size),
        weights(reinterpret_cast<float*>(columns + size)),
        view(weights + size),
        blurred(view + 3 * size * size) {}
};

/// What a block shares beside the workspace.
struct Shared {
  Plan plan;
  double sums[32];
};

template <int Threads>
struct ViewMaker {
  const Settings& settings;
  const SourceImage image;
  Shared& shared;
  Workspace memory;
  int pixels = settings.size * settings.size;

  __device__ void prepare_windows() {
    const resize::Resize& to = shared.plan.resize;
    for (int i = static_cast<int>(threadIdx.x); i < 2 * settings.size; i += Threads) {
      const bool row = i < settings.size;
      const int at = row ? i : i - settings.size;
      ScaledWindow scaled{};
      scaled.window = row ? resize::window_of(settings.interpolation, to.box.height, to.height, to.first_y + at)
                          : resize::window_of(settings.interpolation, to.box.width, to.width, to.first_x + at);
      float total = 0;
      for (int k = scaled.window.first; k < scaled.window.end; ++k)
        total += scaled.window.raw(settings.interpolation, k);
      scaled.inverse_total = resize::inverse_of(total);
      (row ? memory.rows : memory.columns)[at] = scaled;
    }
    __syncthreads();
  }

  __device__ Pixel resized(int i) const {
    const int y = i / settings.size, x = i % settings.size;
    const ScaledWindow row = memory.rows[y];
    const ScaledWindow column = memory.columns[shared.plan.mirror ? settings.size - 1 - x : x];
    const CropBox& box = shared.plan.resize.box;
    const std::int64_t pitch = std::int64_t{3} * image.width;
    const std::uint8_t* first =
        image.pixels + (box.top + row.window.first) * pitch + std::int64_t{3} * (box.left + column.window.first);
    Pixel sum{0, 0, 0};
    for (int k = column.window.first; k < column.window.end; ++k, first += 3) {
      Pixel down{0, 0, 0};
      const std::uint8_t* from = first;
      for (int j = row.window.first; j < row.window.end; ++j, from += pitch) {
        const float w = row.weight(settings.interpolation, j);
        down.r += w * static_cast<float>(from[0]);
        down.g += w * static_cast<float>(from[1]);
        down.b += w * static_cast<float>(from[2]);
      }
      const float w = column.weight(settings.interpolation, k);
      sum.r += w * down.r;
      sum.g += w * down.g;
      sum.b += w * down.b;
    }
    return {pixel::clamped(sum.r / 255.0F), pixel::clamped(sum.g / 255.0F), pixel::clamped(sum.b / 255.0F)};
  }

  __device__ Pixel stored(int i) const {
    return {memory.view[i], memory.view[pixels + i], memory.view[2 * pixels + i]};
  }

  /// The blur along one axis of a plane: `at` is the pixel's place on the axis, `step` the distance of its neighbours.
  __device__ float filtered(const float* line, int at, int step) const {
    float sum = memory.weights[0] * line[at * step];
    for (int k = 1; k <= settings.blur_radius; ++k)
      sum += memory.weights[k] * (line[blur::reflected(at - k, settings.size) * step] +
                                  line[blur::reflected(at + k, settings.size) * step]);
    return sum;
  }

  /// Blurs the view along x to memory.blurred.
  __device__ void blur_across(float sigma) {
    if (threadIdx.x == 0) blur::gaussian(sigma, settings.blur_radius, memory.weights);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < 3 * pixels; i += Threads) {
      const int x = i % settings.size;
      memory.blurred[i] = filtered(memory.view + (i - x), x, 1);
    }
    __syncthreads();
  }
  __device__ Pixel blurred(int i) const {
    const int y = i / settings.size, x = i % settings.size;
    const float* line = memory.blurred + x;
    return {pixel::clamped(filtered(line, y, settings.size)), pixel::clamped(filtered(line + pixels, y, settings.size)),
            pixel::clamped(filtered(line + 2 * pixels, y, settings.size))};
  }

  __device__ static Pixel changed(const Pixel& p, const AugmentStep& step, float mean) {
    using Kind = AugmentStep::Kind;
    switch (step.kind) {
      case Kind::brightness:
        return pixel::brightness(p, step.value);
      case Kind::contrast:
        return pixel::toward(p, mean, step.value);
      case Kind::saturation:
        return pixel::toward(p, pixel::luma(p), step.value);
      case Kind::hue:
        return pixel::hue(p, step.value);
      case Kind::gray: {
        const float y = pixel::clamped(pixel::luma(p));
        return {y, y, y};
      }
      case Kind::solarize:
        return {pixel::solarized(p.r, step.value), pixel::solarized(p.g, step.value),
                pixel::solarized(p.b, step.value)};
      case Kind::blur:
        break;
    }
    return p;
  }

  /// The mean of a value that the threads hold the sums of.
  __device__ float mean_of(double sum) {
    for (int lane = 16; lane > 0; lane /= 2) sum += __shfl_xor_sync(~0U, sum, lane);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared.sums[threadIdx.x / 32] = sum;
    __syncthreads();
    double total = 0;
    for (int warp = 0; warp < Threads / 32; ++warp) total += shared.sums[warp];
    return static_cast<float>(total / pixels);
  }

  template <class T>
  __device__ void put(T* out, int i, const Pixel& p) const {
    out[3 * i] = T(pixel::normalized(p.r, settings.mean[0], settings.inverse_std[0]));
    out[3 * i + 1] = T(pixel::normalized(p.g, settings.mean[1], settings.inverse_std[1]));
    out[3 * i + 2] = T(pixel::normalized(p.b, settings.mean[2], settings.inverse_std[2]));
  }

  /// One pass over the pixels: source(i), then steps [first, last); to `out` if these are the last, else to the view.
  /// If a contrast follows, the mean it needs is returned.
  template <class T, class Source>
  __device__ float pass(int first, int last, float mean, T* out, Source source) {
    const AugmentSteps& steps = shared.plan.steps;
    const bool ends = last == steps.count;
    float luma = 0;
    for (int i = static_cast<int>(threadIdx.x); i < pixels; i += Threads) {
      Pixel p = source(i);
      for (int step = first; step < last; ++step) p = changed(p, steps.at[step], mean);
      if (ends) {
        put(out, i, p);
        continue;
      }
      memory.view[i] = p.r;
      memory.view[pixels + i] = p.g;
      memory.view[2 * pixels + i] = p.b;
      luma += pixel::luma(p);
    }
    return ends ? 0 : mean_of(luma);
  }

  /// Where a pass must end that begins with step `first`.
  __device__ int end_of_pass(int first) const {
    const AugmentSteps& steps = shared.plan.steps;
    while (first < steps.count && steps.at[first].kind != AugmentStep::Kind::contrast &&
           steps.at[first].kind != AugmentStep::Kind::blur)
      ++first;
    return first;
  }

  template <class T>
  __device__ void make(T* out) {
    prepare_windows();
    const AugmentSteps& steps = shared.plan.steps;
    int done = end_of_pass(0);
    float mean = pass(0, done, 0, out, [&](int i) { return resized(i); });
    while (done < steps.count) {
      const int first = done;
      if (steps.at[first].kind == AugmentStep::Kind::blur) {
        blur_across(steps.at[first].value);
        done = end_of_pass(first + 1);
        mean = pass(first + 1, done, 0, out, [&](int i) { return blurred(i); });
      } else {
        done = end_of_pass(first + 1);
        mean = pass(first, done, mean, out, [&](int i) { return stored(i); });
      }
    }
  }
};

constexpr int plan_threads = 128;
constexpr int threads_of(bool in_shared_memory) { return in_shared_memory ? 256 : 512; }
/// Blocks a multiprocessor runs at a time.
constexpr int blocks_of(bool in_shared_memory) { return in_shared_memory ? 4 : 2; }

template <class Plans>
__global__ void __launch_bounds__(plan_threads)
    make_plans(Plans plans, const SourceImage* images, std::int64_t count, Plan* out) {
  const std::int64_t i = std::int64_t{blockIdx.x} * plan_threads + threadIdx.x;
  if (i < count) out[i] = plans(i, images[i]);
}

template <class T, bool InSharedMemory>
__global__ void __launch_bounds__(threads_of(InSharedMemory), blocks_of(InSharedMemory))
    make_views(Settings settings, const Plan* plans, const SourceImage* images, std::int64_t count,
               unsigned char* scratch, T* out) {
  KAGAMI_SHARED(shared, Shared);
  unsigned char* memory = nullptr;
  if constexpr (InSharedMemory) {
    memory = &dynamic_shared<unsigned char>();
  } else {
    memory = scratch + blockIdx.x * Workspace::bytes(settings);
  }
  for (std::int64_t i = blockIdx.x; i < count; i += gridDim.x) {
    __syncthreads();
    if (threadIdx.x == 0) shared.plan = plans[i];
    __syncthreads();
    ViewMaker<threads_of(InSharedMemory)> maker{settings, images[i], shared, Workspace(memory, settings.size)};
    maker.make(out + i * 3 * settings.size * settings.size);
  }
}

template <class T, class Plans>
void launch_views(const Cuda& device, const Settings& settings, const Plans& plans, const SourceImage* images,
                  std::int64_t count, T* out) {
  if (count <= 0) return;
  const Scratch<Plan> made(device.memory, static_cast<std::size_t>(count));
  launch<make_plans<Plans>>(device, dim3{static_cast<std::uint32_t>((count + plan_threads - 1) / plan_threads)},
                            dim3{plan_threads}, 0, plans, images, count, made.data());
  const Plan* plan = made.data();
  // What every supported GPU gives a block, less what is shared beside the workspace.
  constexpr std::size_t most_shared = (std::size_t{99} << 10) - 1024;
  const std::size_t bytes = Workspace::bytes(settings);
  if (bytes <= most_shared) {
    const auto blocks = static_cast<std::uint32_t>(std::min<std::int64_t>(count, 1 << 30));
    launch<make_views<T, true>>(device, dim3{blocks}, dim3{threads_of(true)}, bytes, settings, plan, images, count,
                                static_cast<unsigned char*>(nullptr), out);
    return;
  }
  const auto blocks =
      static_cast<std::uint32_t>(std::min<std::int64_t>(count, blocks_of(false) * device.multiprocessors));
  const Scratch<unsigned char> scratch(device.memory, blocks * bytes);
  launch<make_views<T, false>>(device, dim3{blocks}, dim3{threads_of(false)}, 0, settings, plan, images, count,
                               scratch.data(), out);
}

}  // namespace

template <class T>
void augment(Cuda device, const AugmentPolicy& policy, const AugmentDraw& draw, const SourceImage* images,
             std::int64_t count, T* out) {
  launch_views(device, Settings(policy, policy.blur_probability > 0 ? policy.blur_kernel : 1), DrawnPlans{policy, draw},
               images, count, out);
}

template <class T>
void augment_with(Cuda device, const AugmentPolicy& policy, const AugmentParameters* parameters,
                  const SourceImage* images, std::int64_t count, T* out) {
  launch_views(device, Settings(policy, policy.blur_kernel), GivenPlans{policy, parameters}, images, count, out);
}

template <class T>
void evaluation_view(Cuda device, const EvaluationTransform& transform, const SourceImage* images, std::int64_t count,
                     T* out) {
  launch_views(device, Settings(transform, 1), EvaluationPlans{transform}, images, count, out);
}

template void augment(Cuda, const AugmentPolicy&, const AugmentDraw&, const SourceImage*, std::int64_t, float*);
template void augment(Cuda, const AugmentPolicy&, const AugmentDraw&, const SourceImage*, std::int64_t, bf16*);
template void augment_with(Cuda, const AugmentPolicy&, const AugmentParameters*, const SourceImage*, std::int64_t,
                           float*);
template void augment_with(Cuda, const AugmentPolicy&, const AugmentParameters*, const SourceImage*, std::int64_t,
                           bf16*);
template void evaluation_view(Cuda, const EvaluationTransform&, const SourceImage*, std::int64_t, float*);
template void evaluation_view(Cuda, const EvaluationTransform&, const SourceImage*, std::int64_t, bf16*);

}  // namespace kagami
