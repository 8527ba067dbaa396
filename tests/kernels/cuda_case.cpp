#include "tests/kernels/cuda_case.h"
#if KAGAMI_HAS_CUDA
#include <string_view>

namespace kagami {
namespace {

/// Where no CUDA device can be used, the tests of its kernels are skipped, and say why.
class SkipWithoutDevice : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    const std::string_view suite = test.test_suite_name();
    if (suite.find("Cuda") == suite.npos && !suite.starts_with("Ptx")) return;
    static std::string why;
    static const int devices = cuda::device_count(&why);
    if (devices == 0) GTEST_SKIP() << why;
  }
};
[[maybe_unused]] const bool listening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new SkipWithoutDevice);
  return true;
}();

}  // namespace

Cuda test_cuda() {
  static Arena memory(
      {[](std::size_t bytes) { return cuda::allocate(0, bytes); }, [](void* block) { cuda::release(0, block); }});
  static CUstream_st* stream = cuda::create_stream(0);
  return {&memory, stream, cuda::properties(0).multiprocessors};
}

}  // namespace kagami
#endif
