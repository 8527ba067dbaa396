#pragma once
// Who multiplies matrices on CUDA: the kernels of kernels/cuda, or NVIDIA's cuBLASLt to compare them with.
#include <string>
#include <string_view>

namespace kagami {

namespace cuda {
class CublasLt;
}

/// "own": our kernels. "cublas": cuBLASLt, which is opened now; it chooses by its own heuristics, the same way each
/// time. Process-wide, like cpu::set_conv_algorithm; call before the first kernel runs. Convolutions and losses stay
/// ours. Throws std::invalid_argument on any other name, and where cuBLASLt cannot be used, saying why.
void set_matmul(std::string_view name);
/// What multiplies now, as files of results name it: "own", or the library with its version.
std::string matmul_name();

/// What matmul(Cuda, ...) asks; null: our kernels.
const cuda::CublasLt* matmul_library();
/// For tests: any implementation; it must live until another is set.
void set_matmul_library(const cuda::CublasLt* library);

}  // namespace kagami
