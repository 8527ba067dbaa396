#pragma once
// Convolutions of images. Three channels do not fill a copy, so pixels and weights are widened to four, the last zero:
// 14 bytes a pixel read and written once, against one element at a time in every tap of every pass.
#include "kernels/conv2d.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/pack.cuh"

namespace kagami::gemm {

constexpr int stem_channels = 4;

inline bool has_few_channels(const Conv2dShape& shape) { return shape.c < stem_channels; }
inline Conv2dShape widened(Conv2dShape shape) {
  shape.c = stem_channels;
  return shape;
}

template <class T>
__global__ void __launch_bounds__(256) widen_channels(std::int64_t pixels, int channels, const T* from, T* to) {
  const std::int64_t pixel = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (pixel >= pixels) return;
  cuda::Pack<T, stem_channels> wide;
#pragma unroll
  for (int c = 0; c < stem_channels; ++c) wide[c] = c < channels ? from[pixel * channels + c] : T(0.0f);
  cuda::pack_at<stem_channels>(to + pixel * stem_channels) = wide;
}

/// A copy of [pixels, channels] with stem_channels channels.
template <class T>
class Widened {
 public:
  Widened(const Cuda& device, std::int64_t pixels, int channels, const T* from)
      : memory_(device.memory, static_cast<std::size_t>(pixels * stem_channels)) {
    launch<widen_channels<T>>(device, {static_cast<std::uint32_t>((pixels + 255) / 256)}, {256}, 0, pixels, channels,
                              from, memory_.data());
  }
  const T* data() const { return memory_.data(); }

 private:
  Scratch<T> memory_;
};

template <class T>
Widened<T> widened_images(const Cuda& device, const Conv2dShape& shape, const T* x) {
  return {device, std::int64_t{shape.n} * shape.h * shape.w, shape.c, x};
}
template <class T>
Widened<T> widened_weights(const Cuda& device, const Conv2dShape& shape, const T* w) {
  return {device, std::int64_t{shape.k} * shape.r * shape.s, shape.c, w};
}

}  // namespace kagami::gemm
