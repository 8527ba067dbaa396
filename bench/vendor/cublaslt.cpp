// cuBLASLt's algorithms as candidates.
#include "bench/vendor/library.h"

namespace kagami::bench {

CublasLt::CublasLt(const Device& device, const cuda::CublasLt& library)
    : library_(library), workspace_(device, workspace_bytes), stream_(launcher(device).stream) {}

std::unique_ptr<CublasLt> CublasLt::load(const Device& device, std::string* why_none) {
  const cuda::CublasLt* library = cuda::CublasLt::open(why_none);
  return library ? std::make_unique<CublasLt>(device, *library) : nullptr;
}

std::vector<Candidate> CublasLt::matmul(const cuda::LibraryProduct& product) const {
  constexpr int algorithms = 16;
  const std::shared_ptr<const cuda::LibraryPlan> plan =
      library_.plan(product, {.algorithms = algorithms, .workspace_bytes = workspace_bytes, .wide_sums = false});
  std::vector<Candidate> candidates;
  for (int i = 0; i < plan->algorithms(); ++i)
    candidates.push_back(
        {"algorithm " + std::to_string(i), 0, [=, this] { plan->run(i, false, workspace_.data(), stream_); }});
  return candidates;
}

}  // namespace kagami::bench
