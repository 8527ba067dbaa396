#include "kernels/cuda/matmul.cuh"

namespace kagami {

template void matmul(Cuda, const MatmulShape&, bool, bool, const float*, const float*, float*, Accumulate,
                     const MatmulEpilogue<float>&);

}  // namespace kagami
