#include "engine/transfer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/ops.h"
#include "tests/kernels/cuda_case.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

/// On every device; on an emulated one with copies as late, as early and as mixed as they may be.
template <class F>
void everywhere(F&& run) {
  run(Device::cpu());
#if KAGAMI_HAS_CUDA
  if (Device::cuda_count() > 0) under_every_schedule([&] { run(Device::cuda(0)); });
#endif
}

TEST(Transfer, WhatIsSentArrivesInOrder) {
  everywhere([](const Device& device) {
    UploadRing ring(device, 4 * sizeof(float), 3);
    const Tensor at = Tensor::zeros({4}, DType::f32, device), sum = Tensor::zeros({4}, DType::f32, device);
    std::vector<Tensor> seen;
    for (int i = 0; i < 10; ++i) {
      auto* values = static_cast<float*>(ring.next());
      for (int k = 0; k < 4; ++k) values[k] = static_cast<float>(10 * i + k);
      ring.send(at.raw(), 4 * sizeof(float));
      seen.push_back(at.clone());
    }
    for (std::size_t i = 0; i < seen.size(); ++i)
      EXPECT_EQ(seen[i].to_host<float>()[3], static_cast<float>(10 * i + 3)) << device;
    EXPECT_THROW(ring.send(at.raw(), 100), InputError);
  });
}

TEST(Transfer, NumbersComeBackInOrder) {
  everywhere([](const Device& device) {
    Readback back(device, 3);
    const Tensor x = Tensor::zeros({}, DType::f32, device);
    std::vector<double> seen;
    for (int i = 0; i < 9; ++i) {
      x.fill(i);
      back.request(x);
      x.fill(-1);
      if (back.pending() == 3) seen.push_back(back.take());
    }
    while (back.pending() > 0) seen.push_back(back.take());
    EXPECT_EQ(seen, (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8})) << device;
    EXPECT_THROW(back.take(), InputError);
    EXPECT_THROW(back.request(Tensor::zeros({2}, DType::f32, device)), InputError);
    for (int i = 0; i < 3; ++i) back.request(x);
    EXPECT_THROW(back.request(x), InputError);
  });
}

TEST(Transfer, TheDeviceReadsOnePieceWhileTheOtherIsFilled) {
  everywhere([](const Device& device) {
    constexpr std::size_t bytes = 64;
    DoubleBuffer buffer(device, bytes);
    std::vector<Tensor> seen;
    for (int i = 0; i < 7; ++i) {
      std::memset(buffer.host(), i, bytes);
      buffer.fill(bytes);
      buffer.acquire();
      const Tensor copy = Tensor::empty({bytes}, DType::u8, device);
      device.copy_within(copy.raw(), buffer.device(), bytes);
      seen.push_back(copy);
      buffer.release();
    }
    for (std::size_t i = 0; i < seen.size(); ++i)
      EXPECT_EQ(seen[i].to_host<std::uint8_t>(), std::vector<std::uint8_t>(bytes, static_cast<std::uint8_t>(i)));
    EXPECT_THROW(buffer.fill(bytes + 1), InputError);
  });
}

}  // namespace
}  // namespace kagami
