#pragma once
// A library of matrix products for tests where cuBLASLt is not.
#if KAGAMI_HAS_CUDA
#include <algorithm>
#include <memory>
#include <stdexcept>

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cuda.h"
#include "kernels/matmul_library.h"
#include "kernels/types.h"

namespace kagami {

/// Sets who multiplies while it lives.
struct WithLibrary {
  explicit WithLibrary(const cuda::CublasLt* library) { set_matmul_library(library); }
  ~WithLibrary() { set_matmul_library(nullptr); }
};

#if KAGAMI_EMULATED

/// Multiplies in one thread of the emulated device: shows what is done around a library. `error` is added to one value
/// of every result.
class HostLibrary : public cuda::CublasLt {
 public:
  explicit HostLibrary(int algorithms = 1, float error = 0) : algorithms_(algorithms), error_(error) {}
  std::string version() const override { return "host library 1.0.0"; }
  std::unique_ptr<cuda::LibraryPlan> plan(const cuda::LibraryProduct& product,
                                          const cuda::LibrarySearch& search) const override {
    return std::make_unique<Plan>(product, std::min(algorithms_, search.algorithms), error_);
  }

 private:
  class Plan : public cuda::LibraryPlan {
   public:
    Plan(const cuda::LibraryProduct& product, int algorithms, float error)
        : product_(product), algorithms_(algorithms), error_(error) {}
    int algorithms() const override { return algorithms_; }
    std::size_t workspace_bytes(int) const override { return 512; }
    void run(int algorithm, bool accumulate, void* workspace, CUstream_st* stream) const override {
      if (algorithm >= algorithms_ || reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0)
        throw std::runtime_error("the library got an algorithm it does not have, or a workspace that is not aligned");
      emulator::queue_launch(stream, "a host library's product", {1}, {1}, 0,
                             [plan = *this, accumulate] { plan.multiply(accumulate); });
    }

   private:
    void multiply(bool accumulate) const {
      const bool halves = product_.arithmetic == gemm::Arithmetic::bf16;
      if (!halves)
        multiply<float, float>(accumulate);
      else if (product_.float_result)
        multiply<bf16, float>(accumulate);
      else
        multiply<bf16, bf16>(accumulate);
    }
    template <class T, class Out>
    void multiply(bool accumulate) const {
      const MatmulShape& s = product_.shape;
      for (std::int64_t i = 0; i < s.batch; ++i)
        for (std::int64_t row = 0; row < s.m; ++row)
          for (std::int64_t column = 0; column < s.n; ++column) {
            Out& c = static_cast<Out*>(product_.c)[i * s.stride_c + row * s.ldc + column];
            double sum = accumulate ? static_cast<double>(static_cast<float>(c)) : 0.0;
            for (std::int64_t p = 0; p < s.k; ++p)
              sum += value<T>(product_.a, i * s.stride_a + (product_.transpose_a ? p * s.lda + row : row * s.lda + p)) *
                     value<T>(product_.b,
                              i * s.stride_b + (product_.transpose_b ? column * s.ldb + p : p * s.ldb + column));
            c = Out(static_cast<float>(sum) + (i + row + column == 0 ? error_ : 0.0F));
          }
    }
    template <class T>
    static double value(const void* matrix, std::int64_t at) {
      return static_cast<double>(static_cast<float>(static_cast<const T*>(matrix)[at]));
    }
    cuda::LibraryProduct product_;
    int algorithms_;
    float error_;
  };
  int algorithms_;
  float error_;
};

#endif

}  // namespace kagami
#endif
