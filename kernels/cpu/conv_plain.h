#pragma once
// Convolution as plain loops: the double path, and what the fast kernels are checked against.
#include "kernels/conv2d.h"

namespace kagami::cpu::plain {

template <class T>
void forward(Cpu device, const Conv2dShape& shape, const T* x, const T* w, T* y, const T* bias);
template <class T>
void dgrad(const Conv2dShape& shape, const T* dy, const T* w, T* dx, Accumulate accumulate);
template <class T>
void wgrad(const Conv2dShape& shape, const T* x, const T* dy, T* dw, Accumulate accumulate);

}  // namespace kagami::cpu::plain
