// cuBLASLt through its C interface, resolved at run time.
#include <cublasLt.h>

#include "bench/vendor/dynamic_library.h"
#include "bench/vendor/library.h"

namespace kagami::bench {
namespace {

constexpr int algorithms = 16;

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
    library.get(preference_create, "cublasLtMatmulPreferenceCreate");
    library.get(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    library.get(preference_set, "cublasLtMatmulPreferenceSetAttribute");
  }
};

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string(what) + ": cuBLASLt status " + std::to_string(status));
}

/// A product, described for the library: it knows columns where we have rows, so C^T = op(B)^T op(A)^T.
class Product {
 public:
  Product(const Functions& f, const MatmulShape& s, bool transpose_a, bool transpose_b, Arithmetic arithmetic,
          bool float_result)
      : f_(f) {
    const cudaDataType_t type = arithmetic == Arithmetic::bf16 ? CUDA_R_16BF : CUDA_R_32F;
    check(f_.operation_create(&operation_,
                              arithmetic == Arithmetic::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                              CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    set(CUBLASLT_MATMUL_DESC_TRANSA, transpose_b);
    set(CUBLASLT_MATMUL_DESC_TRANSB, transpose_a);
    layout(b_, type, transpose_b ? s.n : s.k, transpose_b ? s.k : s.n, s.ldb);
    layout(a_, type, transpose_a ? s.k : s.m, transpose_a ? s.m : s.k, s.lda);
    layout(c_, float_result ? CUDA_R_32F : type, s.m, s.n, s.ldc);
  }
  ~Product() {
    for (const cublasLtMatrixLayout_t layout : {a_, b_, c_})
      if (layout) f_.layout_destroy(layout);
    if (operation_) f_.operation_destroy(operation_);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  std::vector<cublasLtMatmulHeuristicResult_t> ways(cublasLtHandle_t handle) const {
    cublasLtMatmulPreference_t preference = nullptr;
    check(f_.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
    f_.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof workspace_bytes);
    std::vector<cublasLtMatmulHeuristicResult_t> found(algorithms);
    int count = 0;
    const auto status = f_.heuristic(handle, operation_, b_, a_, c_, c_, preference, algorithms, found.data(), &count);
    f_.preference_destroy(preference);
    found.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(count) : 0);
    return found;
  }
  void run(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* c,
           void* workspace, CUstream_st* stream) const {
    const float one = 1, zero = 0;
    check(f_.matmul(handle, operation_, &one, b, b_, a, a_, &zero, c, c_, c, c_, &algorithm, workspace, workspace_bytes,
                    stream),
          "cublasLtMatmul");
  }

 private:
  void set(cublasLtMatmulDescAttributes_t attribute, bool transposed) {
    const cublasOperation_t value = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(f_.operation_set(operation_, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  }
  /// A matrix of `lines` contiguous lines of `length`, `ld` apart: to the library, its columns.
  void layout(cublasLtMatrixLayout_t& made, cudaDataType_t type, int lines, int length, std::int64_t ld) {
    check(f_.layout_create(&made, type, static_cast<std::uint64_t>(length), static_cast<std::uint64_t>(lines), ld),
          "cublasLtMatrixLayoutCreate");
  }

  const Functions& f_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, c_ = nullptr;
};

class Library : public CublasLt {
 public:
  Library(const DynamicLibrary& library, const Device& device)
      : f_(library), workspace_(device, workspace_bytes), stream_(launcher(device).stream) {
    check(f_.create(&handle_), "cublasLtCreate");
  }
  std::string version() const override { return "cuBLASLt " + std::to_string(f_.version()); }

  std::vector<Candidate> matmul(const MatmulShape& shape, bool transpose_a, bool transpose_b, Arithmetic arithmetic,
                                bool float_result, const void* a, const void* b, void* c) override {
    const auto product = std::make_shared<Product>(f_, shape, transpose_a, transpose_b, arithmetic, float_result);
    std::vector<Candidate> candidates;
    for (const cublasLtMatmulHeuristicResult_t& way : product->ways(handle_)) {
      if (way.state != CUBLAS_STATUS_SUCCESS) continue;
      candidates.push_back({"algorithm " + std::to_string(candidates.size()), 0, [=, this, algorithm = way.algo] {
                              product->run(handle_, algorithm, a, b, c, workspace_.data(), stream_);
                            }});
    }
    return candidates;
  }

 private:
  Functions f_;
  Memory<std::uint8_t> workspace_;
  CUstream_st* stream_;
  cublasLtHandle_t handle_ = nullptr;  // as long as the process
};

}  // namespace

std::unique_ptr<CublasLt> CublasLt::load(const Device& device, std::string* why_none) {
  const DynamicLibrary library({"libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR), "libcublasLt.so",
                                KAGAMI_CUDA_LIBRARIES "/libcublasLt.so"});
  if (!library.found()) {
    *why_none = library.why_none();
    return nullptr;
  }
  return std::make_unique<Library>(library, device);
}

}  // namespace kagami::bench
