#pragma once
// The vendor's libraries, looked for at run time: the fastest of what they offer for a piece of work. Where a library
// or, when this was built, its headers are missing, `load` returns null and says why.
#include <memory>
#include <string>
#include <vector>

#include "bench/vendor/measure.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/cublaslt.h"

namespace kagami::bench {

enum class Pass { forward, dgrad, wgrad };
constexpr Pass all_passes[] = {Pass::forward, Pass::dgrad, Pass::wgrad};
const char* name_of(Pass pass);

/// One way in which a library does a piece of work.
struct Candidate {
  std::string name;
  int architecture = 0;  ///< that its kernel was written for, 80 or 90 say; 0: not known
  Work run;              ///< throws std::runtime_error when it fails
};

/// Where the operands of a convolution lie, all of one type: cuDNN has no gradient of bf16 weights in float.
struct ConvOperands {
  void *x, *w, *y, *dw;
};

enum class NormWork { forward, forward_relu, forward_add_relu, backward };

/// Where the operands of a batch norm lie: x, y (and dy, dx when going backward), residual; 8 arrays [channels] of
/// floats in `channel`.
struct NormOperands {
  void *x, *y, *dy, *dx, *residual;
  float* channel;
};

class Cudnn {
 public:
  static std::unique_ptr<Cudnn> load(const Device& device, std::string* why_none);
  virtual ~Cudnn() = default;
  virtual std::string version() const = 0;
  /// Every engine configuration that its heuristics know, those that cannot be used left out.
  virtual std::vector<Candidate> convolution(const Conv2dShape& shape, Pass pass, Arithmetic arithmetic,
                                             const ConvOperands& operands) = 0;
  /// The first few plans (each is compiled at run time).
  virtual std::vector<Candidate> batch_norm(const Conv2dShape& image, NormWork work, Arithmetic arithmetic,
                                            const NormOperands& operands) = 0;
};

/// Memory that a library's plans may use beside their operands.
constexpr std::size_t workspace_bytes = std::size_t{1} << 30;

class CublasLt {
 public:
  static std::unique_ptr<CublasLt> load(const Device& device, std::string* why_none);
  CublasLt(const Device& device, const cuda::CublasLt& library);
  std::string version() const { return library_.version(); }
  /// Up to 16 algorithms for a product.
  std::vector<Candidate> matmul(const cuda::LibraryProduct& product) const;

 private:
  const cuda::CublasLt& library_;
  Memory<std::uint8_t> workspace_;
  CUstream_st* stream_;
};

/// The fastest candidate of all, and of those written for GPUs before sm_90.
struct Fastest {
  std::shared_ptr<Candidate> of_all, before_sm90;
  int tried = 0;
  double us = 0, us_before_sm90 = 0;
};
Fastest fastest(const Stopwatch& stopwatch, std::vector<Candidate> candidates);

}  // namespace kagami::bench
