#include "engine/device.h"

#include <gtest/gtest.h>

#include "engine/ops.h"
#include "engine/transfer.h"
#include "kernels/launch.h"
#if KAGAMI_EMULATED
#include "kernels/emulator/emulator.h"
#endif

namespace kagami {
namespace {

/// Two devices: a machine's, or emulated ones.
class TwoDevices : public testing::Test {
 protected:
#if KAGAMI_EMULATED
  void SetUp() override { emulator::config().devices = 2; }
  void TearDown() override { emulator::config() = before; }
  emulator::Config before = emulator::config();
#else
  void SetUp() override {
    if (Device::cuda_count() < 2) GTEST_SKIP() << "needs two CUDA devices";
  }
#endif
};

TEST_F(TwoDevices, TakeTurns) {
  const Device devices[] = {Device::cuda(0), Device::cuda(1)};
  std::vector<Tensor> sums;
  for (const Device& device : devices) sums.push_back(Tensor::from(std::vector<float>{1, 2, 3}, {3}, device));
  for (int turn = 1; turn <= 3; ++turn)  // memory that was freed comes from the cache from the second turn on
    for (std::size_t i = 0; i < 2; ++i)
      sums[i] = add(sums[i], scale(Tensor::from(std::vector<float>{1, 1, 1}, {3}, devices[i]), turn * (i + 1.0)));
  EXPECT_EQ(sums[0].to_host<float>(), (std::vector<float>{7, 8, 9}));
  EXPECT_EQ(sums[1].to_host<float>(), (std::vector<float>{13, 14, 15}));
}

TEST_F(TwoDevices, EachHasItsCopies) {
  const Device devices[] = {Device::cuda(0), Device::cuda(1)};
  DoubleBuffer buffers[] = {DoubleBuffer(devices[0], 4), DoubleBuffer(devices[1], 4)};
  for (int turn = 0; turn < 3; ++turn)
    for (std::size_t i = 0; i < 2; ++i) {
      buffers[i].host()[0] = static_cast<std::uint8_t>(10 * turn + i);
      buffers[i].fill(1);
      buffers[i].acquire();
      std::uint8_t got = 0;
      devices[i].copy_out(&got, buffers[i].device(), 1);
      EXPECT_EQ(got, 10 * turn + i);
      buffers[i].release();
    }
}

TEST(DeviceNumbers, OneTooHighIsRefused) {
  const int count = Device::cuda_count();
  EXPECT_THROW(Device::cuda(count), InputError);
  EXPECT_THROW(Device::cuda(-1), InputError);
}

}  // namespace
}  // namespace kagami
