#include "engine/tensor_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/kernels/cuda_case.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

namespace fs = std::filesystem;

struct TemporaryFile {
  ~TemporaryFile() { fs::remove(path); }
  fs::path path = fs::temp_directory_path() / text("kagami-tensors-", getpid(), ".safetensors");
};

TEST(TensorFile, TensorsOfEveryTypeComeBack) {
  const TemporaryFile file;
  std::vector<NamedTensor> tensors{{"scalar", Tensor::full({}, 2.5, DType::f64, Device::cpu())},
                                   {"nothing", Tensor::zeros({0, 3}, DType::f32, Device::cpu())},
                                   {"bytes", Tensor::full({3}, 7, DType::u8, Device::cpu())},
                                   {"half", Tensor::full({2, 2}, 1.5, DType::bf16, Device::cpu())},
                                   {"floats", test::random_tensor({2, 3, 4}, DType::f32, 1)}};
  write_tensors(file.path, tensors, {{"who", "me"}});
  const SafetensorsFile stored(file.path);
  EXPECT_EQ(stored.text_of("who"), "me");
  const auto read = read_tensors(stored, Device::cpu());
  ASSERT_EQ(read.size(), tensors.size());
  for (const NamedTensor& expected : tensors) {
    const auto found = std::find_if(read.begin(), read.end(), [&](const auto& t) { return t.name == expected.name; });
    ASSERT_NE(found, read.end()) << expected.name;
    EXPECT_EQ(found->tensor.shape(), expected.tensor.shape());
    EXPECT_EQ(found->tensor.dtype(), expected.tensor.dtype());
    EXPECT_EQ(found->tensor.to(DType::f64).to_host<double>(), expected.tensor.to(DType::f64).to_host<double>());
  }
}

#if KAGAMI_HAS_CUDA
TEST(TensorFile, WhatIsOnADeviceIsWrittenWhenItIsThere) {
  if (std::string why; Device::cuda_count(&why) == 0) GTEST_SKIP() << why;
  under_every_schedule([] {
    const TemporaryFile file;
    const Tensor t = Tensor::full({3}, 1, DType::f32, Device::cuda(0));
    t.device().synchronize();
    t.fill(7);  // queued
    write_tensors(file.path, {{"t", t}}, {});
    EXPECT_EQ(read_tensors(SafetensorsFile(file.path), Device::cpu())[0].tensor.to_host<float>(),
              std::vector<float>(3, 7));
  });
}
#endif

TEST(TensorFile, CountersArePassedOverAndOtherTypesNamed) {
  const TemporaryFile file;
  const std::vector<std::int64_t> count{5};
  const std::vector<StoredTensor> counter{store<std::int64_t>("bn1.num_batches_tracked", {}, count)};
  write_safetensors(file.path, counter);
  EXPECT_TRUE(read_tensors(SafetensorsFile(file.path), Device::cpu()).empty());
  const std::vector<StoredTensor> other{store<std::int64_t>("steps", {}, count)};
  write_safetensors(file.path, other);
  try {
    read_tensors(SafetensorsFile(file.path), Device::cpu());
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("'steps' is I64"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace kagami
