#include "kernels/cuda/cublaslt.h"

namespace kagami::cuda {

const CublasLt* CublasLt::open(std::string* why_none) {
  if (why_none) *why_none = "an emulated device runs none of NVIDIA's libraries";
  return nullptr;
}

}  // namespace kagami::cuda
