#include "kernels/conv2d.h"

#include "kernels/cpu/conv_plain.h"

namespace kagami {

template <class T>
void conv2d_forward(Cpu device, const Conv2dShape& shape, const T* x, const Weights<T>& w, T* y,
                    const ConvEpilogue<T>& epilogue) {
  cpu::plain::forward(device, shape, x, w.kernel, y, epilogue.bias);
}

template <class T>
void conv2d_dgrad(Cpu, const Conv2dShape& shape, const T* dy, const Weights<T>& w, T* dx, Accumulate accumulate) {
  cpu::plain::dgrad(shape, dy, w.kernel, dx, accumulate);
}

template <class T>
void conv2d_wgrad(Cpu, const Conv2dShape& shape, const T* x, const T* dy, T* dw, Accumulate accumulate) {
  cpu::plain::wgrad(shape, x, dy, dw, accumulate);
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
