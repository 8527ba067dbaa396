#include "kernels/cuda/matmul.cuh"

namespace kagami {

template void matmul(Cuda, const MatmulShape&, bool, bool, const bf16*, const bf16*, bf16*, Accumulate,
                     const MatmulEpilogue<bf16>&);
template void matmul(Cuda, const MatmulShape&, bool, bool, const bf16*, const bf16*, float*, Accumulate,
                     const MatmulEpilogue<bf16>&);

}  // namespace kagami
