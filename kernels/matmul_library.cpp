#include "kernels/matmul_library.h"

#include <atomic>
#include <stdexcept>

#if KAGAMI_HAS_CUDA
#include "kernels/cuda/cublaslt.h"
#endif

namespace kagami {
namespace {

std::atomic<const cuda::CublasLt*> current{nullptr};

const cuda::CublasLt& opened() {
  std::string why = "this program was built without CUDA";
#if KAGAMI_HAS_CUDA
  if (const cuda::CublasLt* library = cuda::CublasLt::open(&why)) return *library;
#endif
  throw std::invalid_argument("cuBLASLt cannot be used: " + why);
}

}  // namespace

void set_matmul(std::string_view name) {
  if (name == "own")
    current = nullptr;
  else if (name == "cublas")
    current = &opened();
  else
    throw std::invalid_argument("nothing called '" + std::string(name) + "' multiplies matrices: use own or cublas");
}

std::string matmul_name() {
#if KAGAMI_HAS_CUDA
  if (const cuda::CublasLt* library = current) return library->version();
#endif
  return "own";
}

const cuda::CublasLt* matmul_library() { return current; }
void set_matmul_library(const cuda::CublasLt* library) { current = library; }

}  // namespace kagami
