#include "kernels/cuda/conv2d.cuh"

namespace kagami {

template void conv2d_forward(Cuda, const Conv2dShape&, const float*, const Weights<float>&, float*,
                             const ConvEpilogue<float>&);
template void conv2d_forward_measured(Cuda, const Conv2dShape&, const float*, const Weights<float>&, float*,
                                      const BatchNormMeasure<float>&);
template void conv2d_dgrad(Cuda, const Conv2dShape&, const float*, const Weights<float>&, float*, Accumulate);
template void conv2d_wgrad(Cuda, const Conv2dShape&, const float*, const float*, float*, Accumulate);

}  // namespace kagami
