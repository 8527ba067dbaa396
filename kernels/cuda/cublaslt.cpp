// cuBLASLt through its C interface, resolved at run time. Only in builds with CUDA.
#include "kernels/cuda/cublaslt.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "kernels/cuda/dynamic_library.h"
#include "kernels/cuda/runtime.h"

namespace kagami::cuda {
namespace {

struct Functions {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) operation_create;
  decltype(&cublasLtMatmulDescDestroy) operation_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) operation_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;

  explicit Functions(const DynamicLibrary& library) {
    library.get(create, "cublasLtCreate");
    library.get(version, "cublasLtGetVersion");
    library.get(matmul, "cublasLtMatmul");
    library.get(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    library.get(operation_create, "cublasLtMatmulDescCreate");
    library.get(operation_destroy, "cublasLtMatmulDescDestroy");
    library.get(operation_set, "cublasLtMatmulDescSetAttribute");
    library.get(layout_create, "cublasLtMatrixLayoutCreate");
    library.get(layout_destroy, "cublasLtMatrixLayoutDestroy");
    library.get(layout_set, "cublasLtMatrixLayoutSetAttribute");
    library.get(preference_create, "cublasLtMatmulPreferenceCreate");
    library.get(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    library.get(preference_set, "cublasLtMatmulPreferenceSetAttribute");
  }
};

void check_status(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string(what) + ": cuBLASLt status " + std::to_string(status));
}

/// Bytes that an address is a multiple of: what the library may rely on.
std::uint32_t alignment(const void* address) {
  constexpr int most = 8;  // 256 bytes
  return 1U << std::min(most, std::countr_zero(reinterpret_cast<std::uintptr_t>(address)));
}

/// What the library made for a product; given back also when describing it fails midway.
struct Descriptors {
  explicit Descriptors(const Functions& functions) : f(functions) {}
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  ~Descriptors() {
    for (const cublasLtMatrixLayout_t layout : {a, b, c})
      if (layout) f.layout_destroy(layout);
    if (operation) f.operation_destroy(operation);
  }
  const Functions& f;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
};

/// A product, described for the library: it knows columns where we have rows, so C^T = op(B)^T op(A)^T.
class Plan : public LibraryPlan {
 public:
  Plan(const Functions& f, cublasLtHandle_t handle, const LibraryProduct& product, const LibrarySearch& search)
      : f_(f), handle_(handle), product_(product), made_(f) {
    const MatmulShape& s = product.shape;
    const bool bf16 = product.arithmetic == gemm::Arithmetic::bf16;
    const cudaDataType_t type = bf16 ? CUDA_R_16BF : CUDA_R_32F;
    const bool tf32 = product.arithmetic == gemm::Arithmetic::tf32;
    check_status(
        f_.operation_create(&made_.operation, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
    transpose(CUBLASLT_MATMUL_DESC_TRANSA, product.transpose_b);
    transpose(CUBLASLT_MATMUL_DESC_TRANSB, product.transpose_a);
    layout(made_.b, type, product.transpose_b ? s.n : s.k, product.transpose_b ? s.k : s.n, s.ldb, s.stride_b);
    layout(made_.a, type, product.transpose_a ? s.k : s.m, product.transpose_a ? s.m : s.k, s.lda, s.stride_a);
    layout(made_.c, product.float_result ? CUDA_R_32F : type, s.m, s.n, s.ldc, s.stride_c);
    find(search);
  }

  int algorithms() const override { return static_cast<int>(found_.size()); }
  std::size_t workspace_bytes(int algorithm) const override { return at(algorithm).workspaceSize; }
  void run(int algorithm, bool accumulate, void* workspace, CUstream_st* stream) const override {
    const float one = 1, beta = accumulate ? 1 : 0;
    check_status(
        f_.matmul(handle_, made_.operation, &one, product_.b, made_.b, product_.a, made_.a, &beta, product_.c, made_.c,
                  product_.c, made_.c, &at(algorithm).algo, workspace, at(algorithm).workspaceSize, stream),
        "cublasLtMatmul");
  }

 private:
  const cublasLtMatmulHeuristicResult_t& at(int algorithm) const {
    return found_.at(static_cast<std::size_t>(algorithm));
  }
  void transpose(cublasLtMatmulDescAttributes_t attribute, bool transposed) {
    const cublasOperation_t value = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check_status(f_.operation_set(made_.operation, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  }
  /// Matrices of `lines` contiguous lines of `length`, `ld` apart: to the library, their columns.
  void layout(cublasLtMatrixLayout_t& made, cudaDataType_t type, int lines, int length, std::int64_t ld,
              std::int64_t stride) {
    check_status(
        f_.layout_create(&made, type, static_cast<std::uint64_t>(length), static_cast<std::uint64_t>(lines), ld),
        "cublasLtMatrixLayoutCreate");
    const std::int32_t count = product_.shape.batch;
    if (count == 1) return;
    const char* what = "cublasLtMatrixLayoutSetAttribute";
    check_status(f_.layout_set(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), what);
    check_status(f_.layout_set(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride), what);
  }
  void find(const LibrarySearch& search) {
    cublasLtMatmulPreference_t preference = nullptr;
    check_status(f_.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      f_.preference_set(preference, attribute, &value, sizeof value);
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{search.workspace_bytes});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(product_.b));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(product_.a));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(product_.c));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(product_.c));
    if (search.wide_sums)
      prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    found_.resize(static_cast<std::size_t>(search.algorithms));
    int count = 0;
    const cublasStatus_t status = f_.heuristic(handle_, made_.operation, made_.b, made_.a, made_.c, made_.c, preference,
                                               search.algorithms, found_.data(), &count);
    f_.preference_destroy(preference);
    found_.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(count) : 0);
    std::erase_if(found_, [](const auto& way) { return way.state != CUBLAS_STATUS_SUCCESS; });
  }

  const Functions& f_;
  cublasLtHandle_t handle_;
  LibraryProduct product_;
  Descriptors made_;
  std::vector<cublasLtMatmulHeuristicResult_t> found_;
};

class Library : public CublasLt {
 public:
  explicit Library(const DynamicLibrary& library) : f_(library) {}
  std::string version() const override {
    const std::size_t number = f_.version();
    return "cuBLASLt " + std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." +
           std::to_string(number % 100);
  }
  std::unique_ptr<LibraryPlan> plan(const LibraryProduct& product, const LibrarySearch& search) const override {
    return std::make_unique<Plan>(f_, handle(), product, search);
  }

 private:
  /// Of the device in use; handles live as long as the process.
  cublasLtHandle_t handle() const {
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    const std::lock_guard lock(guard_);
    cublasLtHandle_t& handle = handles_[device];
    if (!handle) check_status(f_.create(&handle), "cublasLtCreate");
    return handle;
  }

  Functions f_;
  mutable std::mutex guard_;
  mutable std::map<int, cublasLtHandle_t> handles_;
};

}  // namespace

const CublasLt* CublasLt::open(std::string* why_none) {
  static std::string why;
  static const CublasLt* library = []() -> const CublasLt* {
    constexpr bool built_with_12 = CUBLAS_VER_MAJOR < 13;  // the driver may know no later one
    const DynamicLibrary file({built_with_12 ? "libcublasLt.so.12" : "libcublasLt.so.13",
                               built_with_12 ? "libcublasLt.so.13" : "libcublasLt.so.12",
                               KAGAMI_CUDA_LIBRARIES "/libcublasLt.so"});
    try {
      if (file.found()) return new Library(file);
      why = "neither libcublasLt.so.13 nor libcublasLt.so.12 could be opened (" + file.why_none() +
            "): install NVIDIA's cuBLAS, or add its folder to LD_LIBRARY_PATH";
    } catch (const std::runtime_error& error) {
      why = error.what();
    }
    return nullptr;
  }();
  if (!library && why_none) *why_none = why;
  return library;
}

}  // namespace kagami::cuda

#else

namespace kagami::cuda {

const CublasLt* CublasLt::open(std::string* why_none) {
  if (why_none) *why_none = "this program was built without cuBLASLt's header, cublasLt.h";
  return nullptr;
}

}  // namespace kagami::cuda
#endif
