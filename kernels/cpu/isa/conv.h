#pragma once
// Direct convolution, float: what kernels/cpu/isa/conv.cpp provides once per instruction set.
#include <cstddef>

namespace kagami::cpu {

/// Sizes of a convolution, see Conv2dShape.
struct DirectShape {
  int n, h, w, c, k, r, s, stride, pad, out_h, out_w;
};

/// `scratch`: how many floats each pass needs for that many workers (see parallel_items).
struct ConvKernels {
  std::size_t (*forward_scratch)(const DirectShape&, int workers);
  void (*forward)(const DirectShape&, const float* x, const float* w, float* y, const float* bias, float* scratch);
  std::size_t (*dgrad_scratch)(const DirectShape&, int workers);
  void (*dgrad)(const DirectShape&, const float* dy, const float* w, float* dx, bool add, float* scratch);
  std::size_t (*wgrad_scratch)(const DirectShape&, int workers);
  void (*wgrad)(const DirectShape&, const float* x, const float* dy, float* dw, bool add, float* scratch);
};

namespace baseline {
extern const ConvKernels conv_kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const ConvKernels conv_kernels;
}
namespace avx512 {
extern const ConvKernels conv_kernels;
}
#endif

}  // namespace kagami::cpu
