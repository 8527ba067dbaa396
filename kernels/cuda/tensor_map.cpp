// The driver's tensor maps; only in builds with CUDA.
#include "kernels/cuda/tensor_map.h"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <stdexcept>

namespace kagami {
TensorMap make_tensor_map_bf16(const TensorMapSpec& s) {
  static const auto encode = [] {
    void* f = nullptr;
    cudaDriverEntryPointQueryResult r;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000, cudaEnableDefault, &r) != cudaSuccess ||
        !f)
      throw std::runtime_error("cuTensorMapEncodeTiled is not there");
    return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(f);
  }();
  TensorMap m{};
  cuuint32_t ones[5] = {1, 1, 1, 1, 1};
  CUresult r =
      encode(reinterpret_cast<CUtensorMap*>(&m), CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, cuuint32_t(s.dims.size()), s.base,
             reinterpret_cast<const cuuint64_t*>(s.dims.data()), reinterpret_cast<const cuuint64_t*>(s.strides.data()),
             s.box.data(), ones, CU_TENSOR_MAP_INTERLEAVE_NONE,
             s.swizzle_bytes == 128 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  int driver = 0;
  if (r != CUDA_SUCCESS || cudaDriverGetVersion(&driver) != cudaSuccess)
    throw std::runtime_error("cuTensorMapEncodeTiled failed");
  repair_map_of_small_tensor(m, s, driver);
  return m;
}
}  // namespace kagami
