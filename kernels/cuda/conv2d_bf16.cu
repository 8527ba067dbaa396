#include "kernels/cuda/conv2d.cuh"

namespace kagami {

template void conv2d_forward(Cuda, const Conv2dShape&, const bf16*, const Weights<bf16>&, bf16*,
                             const ConvEpilogue<bf16>&);
template void conv2d_forward_measured(Cuda, const Conv2dShape&, const bf16*, const Weights<bf16>&, bf16*,
                                      const BatchNormMeasure<bf16>&);
template void conv2d_dgrad(Cuda, const Conv2dShape&, const bf16*, const Weights<bf16>&, bf16*, Accumulate);
template void conv2d_wgrad(Cuda, const Conv2dShape&, const bf16*, const bf16*, float*, Accumulate);

}  // namespace kagami
