#pragma once
// Convolution as plain loops, for the checks made in double; see kernels/conv2d.h.
#include "kernels/conv2d.h"

namespace kagami::cpu::plain {

void forward(Cpu device, const Conv2dShape& shape, const double* x, const double* w, double* y, const double* bias);
void dgrad(const Conv2dShape& shape, const double* dy, const double* w, double* dx, Accumulate accumulate);
void wgrad(const Conv2dShape& shape, const double* x, const double* dy, double* dw, Accumulate accumulate);

}  // namespace kagami::cpu::plain
