#include "kernels/conv2d.h"

#include <type_traits>

#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_plain.h"
#include "kernels/cpu/isa/conv.h"
#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/isa/winograd.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

const cpu::WinogradKernels& winograd() {
  return cpu::select(cpu::baseline::winograd_kernels, cpu::avx2::winograd_kernels, cpu::avx512::winograd_kernels);
}

void run(Cpu device, const cpu::WinogradConv& conv) {
  const Scratch<float> scratch(device.memory, winograd().conv_scratch(conv, cpu::threads()));
  winograd().conv(conv, scratch.data());
}

void run(Cpu device, const cpu::WinogradWeightGradient& gradient) {
  const Scratch<float> scratch(device.memory, winograd().weight_gradient_scratch(gradient, cpu::threads()));
  winograd().weight_gradient(gradient, scratch.data());
}

const cpu::ConvKernels& direct() {
  return cpu::select(cpu::baseline::conv_kernels, cpu::avx2::conv_kernels, cpu::avx512::conv_kernels);
}

cpu::DirectShape direct_shape(const Conv2dShape& s) {
  return {s.n, s.h, s.w, s.c, s.k, s.r, s.s, s.stride, s.pad, s.out_h(), s.out_w()};
}

bool takes_winograd(const Conv2dShape& shape, cpu::ConvPass pass) {
  return cpu::conv_algorithm(shape, pass) == cpu::ConvAlgorithm::winograd;
}

template <class T>
void forward(Cpu device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y, const T* bias) {
  if constexpr (std::is_same_v<T, float>) {
    if (takes_winograd(shape, cpu::ConvPass::forward))
      return run(device, cpu::WinogradConv{x, w.kernel, y, bias, false, false, shape.n, shape.h, shape.w, shape.c,
                                           shape.out_h(), shape.out_w(), shape.k, shape.pad});
    const cpu::DirectShape sizes = direct_shape(shape);
    const Scratch<float> scratch(device.memory, direct().forward_scratch(sizes, cpu::threads()));
    direct().forward(sizes, x, w.kernel, y, bias, scratch.data());
  } else {
    cpu::plain::forward(device, shape, x, w.kernel, y, bias);
  }
}

/// What follows the bias is a pass of its own here: that of a batch norm.
template <class T>
void finish(Cpu device, const Conv2dShape& shape, const ConvEpilogue<T>& epilogue, T* y) {
  const std::size_t channels = static_cast<std::size_t>(shape.k);
  const Scratch<T> factors(device.memory, 2 * channels);
  T *scale = factors.data(), *shift = scale + channels;
  for (std::size_t c = 0; c < channels; ++c) {
    scale[c] = epilogue.scale ? epilogue.scale[c] : T(1);
    shift[c] = epilogue.bias ? epilogue.bias[c] : T(0);
  }
  const std::int64_t pixels = std::int64_t{shape.n} * shape.out_h() * shape.out_w();
  batch_norm_apply<T>(device, {pixels, shape.k}, y, {nullptr, nullptr, nullptr, scale, shift}, epilogue.residual,
                      epilogue.relu, y);
}

}  // namespace

template <class T>
void conv2d_forward(Cpu device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                    const ConvEpilogue<T>& epilogue) {
  const bool bias_alone = !epilogue.scale && !epilogue.residual && !epilogue.relu;
  forward(device, shape, x, w, y, bias_alone ? epilogue.bias : nullptr);
  if (!bias_alone) finish(device, shape, epilogue, y);
}

template <class T>
void conv2d_dgrad(Cpu device, const Conv2dShape& shape, const T* dy, const Weights<T>& w, T* dx,
                  Accumulate accumulate) {
  if constexpr (std::is_same_v<T, float>) {
    if (takes_winograd(shape, cpu::ConvPass::dgrad))
      return run(device,
                 cpu::WinogradConv{dy, w.kernel, dx, nullptr, true, accumulate == Accumulate::yes, shape.n,
                                   shape.out_h(), shape.out_w(), shape.k, shape.h, shape.w, shape.c, 2 - shape.pad});
    const cpu::DirectShape sizes = direct_shape(shape);
    const Scratch<float> scratch(device.memory, direct().dgrad_scratch(sizes, cpu::threads()));
    direct().dgrad(sizes, dy, w.kernel, dx, accumulate == Accumulate::yes, scratch.data());
  } else {
    cpu::plain::dgrad(shape, dy, w.kernel, dx, accumulate);
  }
}

template <class T>
void conv2d_wgrad(Cpu device, const Conv2dShape& shape, const T* x, const T* dy, Wide<T>* dw, Accumulate accumulate) {
  if constexpr (std::is_same_v<T, float>) {
    if (takes_winograd(shape, cpu::ConvPass::wgrad))
      return run(device,
                 cpu::WinogradWeightGradient{x, dy, dw, accumulate == Accumulate::yes, shape.n, shape.h, shape.w,
                                             shape.c, shape.out_h(), shape.out_w(), shape.k, shape.pad});
    const cpu::DirectShape sizes = direct_shape(shape);
    const Scratch<float> scratch(device.memory, direct().wgrad_scratch(sizes, cpu::threads()));
    direct().wgrad(sizes, x, dy, dw, accumulate == Accumulate::yes, scratch.data());
  } else {
    cpu::plain::wgrad(shape, x, dy, dw, accumulate);
  }
}

template void conv2d_forward(Cpu, const Conv2dShape&, const float*, const Weights<float>&, float*,
                             const ConvEpilogue<float>&);
template void conv2d_forward(Cpu, const Conv2dShape&, const double*, const Weights<double>&, double*,
                             const ConvEpilogue<double>&);
template void conv2d_dgrad(Cpu, const Conv2dShape&, const float*, const Weights<float>&, float*, Accumulate);
template void conv2d_dgrad(Cpu, const Conv2dShape&, const double*, const Weights<double>&, double*, Accumulate);
template void conv2d_wgrad(Cpu, const Conv2dShape&, const float*, const float*, float*, Accumulate);
template void conv2d_wgrad(Cpu, const Conv2dShape&, const double*, const double*, double*, Accumulate);

}  // namespace kagami
