#pragma once
// What a file with CUDA kernels includes. nvcc makes GPU code of it; g++ (the emulated build) makes functions that the
// fibers of kernels/emulator run. A kernel is plain CUDA C++ with four conventions:
//   static shared memory    KAGAMI_SHARED(tile, float[16][17]);
//   dynamic shared memory   auto& s = dynamic_shared<Storage>();
//   launch                  launch<kernel<Tile>>(device, grid, block, shared_bytes, arguments...);
//   inline assembly         only in the wrappers of ptx.h
#include <cstddef>
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/types.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#include "kernels/cuda/runtime.h"

namespace kagami {

template <class T>
struct SharedType {
  using type = T;
};
#define KAGAMI_SHARED(name, ...) __shared__ typename ::kagami::SharedType<__VA_ARGS__>::type name

template <class T>
__device__ __forceinline__ T& dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char kagami_dynamic_shared[];
  return *reinterpret_cast<T*>(kagami_dynamic_shared);
}

/// Queues the kernel on the device's stream. Throws, naming the kernel, when the launch is refused.
template <auto Kernel, class... Args>
void launch(const Cuda& device, dim3 grid, dim3 block, std::size_t shared_bytes, Args... args) {
  constexpr std::size_t limit_without_asking = 48 * 1024;
  if (shared_bytes > limit_without_asking)
    cuda::check(
        cudaFuncSetAttribute(Kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        __PRETTY_FUNCTION__);
  Kernel<<<::dim3(grid.x, grid.y, grid.z), ::dim3(block.x, block.y, block.z), shared_bytes, device.stream>>>(args...);
  cuda::check(cudaGetLastError(), __PRETTY_FUNCTION__);
}

}  // namespace kagami
#elif KAGAMI_EMULATED
#include "kernels/emulator/emulator.h"
#endif
