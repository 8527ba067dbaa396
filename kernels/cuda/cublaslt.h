#pragma once
// NVIDIA's cuBLASLt, opened at run time: a program neither links nor needs it. Two implementations: cublaslt.cpp, and
// kernels/emulator/cublaslt.cpp, which has none to offer.
#include <cstddef>
#include <memory>
#include <string>

#include "kernels/cuda/gemm_table.h"
#include "kernels/matmul.h"

namespace kagami::cuda {

/// A product as kernels/matmul.h has it: C = op(A) op(B), of matrices of bf16 or float; C may be float either way.
struct LibraryProduct {
  MatmulShape shape;
  bool transpose_a, transpose_b;
  gemm::Arithmetic arithmetic;
  bool float_result;
  const void *a, *b;
  void* c;
};

/// What the library is asked for.
struct LibrarySearch {
  int algorithms = 1;  ///< at most
  std::size_t workspace_bytes = std::size_t{32} << 20;
  bool wide_sums = true;  ///< parts of a sum are added as floats, never rounded to the result's type
};

/// The algorithms the library offers for a product, the one it expects to be fastest first.
class LibraryPlan {
 public:
  virtual ~LibraryPlan() = default;
  virtual int algorithms() const = 0;
  virtual std::size_t workspace_bytes(int algorithm) const = 0;
  /// Queues C = or += the product; `workspace` is on the device, aligned to 256 bytes. Throws std::runtime_error.
  virtual void run(int algorithm, bool accumulate, void* workspace, CUstream_st* stream) const = 0;
};

class CublasLt {
 public:
  /// Opened once. Null where it cannot be: `why_none` then says why, and what to do, in one line.
  static const CublasLt* open(std::string* why_none);
  virtual ~CublasLt() = default;
  virtual std::string version() const = 0;
  /// For the device in use. Its first call there prepares the library, so it must not be part of a captured graph.
  virtual std::unique_ptr<LibraryPlan> plan(const LibraryProduct& product, const LibrarySearch& search) const = 0;
};

}  // namespace kagami::cuda
