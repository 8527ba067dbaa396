#include "tests/kernels/cuda_case.h"
#if KAGAMI_HAS_CUDA
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
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

void compare_with_hardware(const std::string& name, const std::vector<float>& values) {
  const std::size_t bytes = values.size() * sizeof(float);
  if (!cuda::properties(0).emulated) {
    if (const char* folder = std::getenv("KAGAMI_GOLDEN"))
      std::ofstream(std::filesystem::path(folder) / (name + ".f32"), std::ios::binary)
          .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(bytes));
    return;
  }
  std::ifstream in(std::filesystem::path(KAGAMI_SOURCE_DIR) / "tests/kernels/golden" / (name + ".f32"),
                   std::ios::binary);
  if (!in) return;
  std::vector<float> golden(values.size());
  in.read(reinterpret_cast<char*>(golden.data()), static_cast<std::streamsize>(bytes));
  ASSERT_EQ(static_cast<std::size_t>(in.gcount()), bytes) << name;
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < golden.size(); ++i) {
    difference += std::pow(double{values[i]} - golden[i], 2);
    size += std::pow(double{golden[i]}, 2);
  }
  EXPECT_TRUE(std::sqrt(difference / size) <= 1e-6) << name;  // the order of additions inside is the hardware's own
}

}  // namespace kagami
#endif
