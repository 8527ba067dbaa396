#include "tests/kernels/cuda_case.h"
#if KAGAMI_HAS_CUDA

namespace kagami {

Cuda test_cuda() {
  static Arena memory(
      {[](std::size_t bytes) { return cuda::allocate(0, bytes); }, [](void* block) { cuda::release(0, block); }});
  static CUstream_st* stream = cuda::create_stream(0);
  return {&memory, stream, cuda::properties(0).multiprocessors};
}

}  // namespace kagami
#endif
