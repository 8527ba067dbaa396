#pragma once
// Winograd convolution, float: what kernels/cpu/isa/winograd*.cpp provides once per instruction set.
#include <cstddef>

namespace kagami::cpu {

constexpr int winograd_few_channels = 4;  ///< of images: such a layer is transformed without products in memory

/// A 3x3 convolution with stride 1 and padding 0 to 2: y [n,out_h,out_w,out_c] from x [n,in_h,in_w,in_c], channel
/// counts multiples of `lanes`; forward also from up to winograd_few_channels. w is [out_c,3,3,in_c]; for a data
/// gradient x is dy, y is dx and w [in_c,3,3,out_c] is read with its taps turned round.
struct WinogradConv {
  const float* x;
  const float* w;
  float* y;
  const float* bias;  // [out_c] or null
  bool gradient;      // the data gradient
  bool add;           // to what y holds
  int n, in_h, in_w, in_c, out_h, out_w, out_c, pad;
};

/// The gradient dw [k,3,3,c] of the weights of such a convolution.
struct WinogradWeightGradient {
  const float* x;
  const float* dy;
  float* dw;
  bool add;
  int n, h, w, c, out_h, out_w, k, pad;
};

/// `scratch` says how many floats the function after it needs for that many workers (see parallel_items).
struct WinogradKernels {
  int lanes;
  std::size_t (*conv_scratch)(const WinogradConv&, int workers);
  void (*conv)(const WinogradConv&, float* scratch);
  std::size_t (*weight_gradient_scratch)(const WinogradWeightGradient&, int workers);
  void (*weight_gradient)(const WinogradWeightGradient&, float* scratch);
};

namespace baseline {
extern const WinogradKernels winograd_kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const WinogradKernels winograd_kernels;
}
namespace avx512 {
extern const WinogradKernels winograd_kernels;
}
#endif

}  // namespace kagami::cpu
