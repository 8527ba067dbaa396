#include "ssl/device_pixels.h"

#include <gtest/gtest.h>

#if KAGAMI_EMULATED
#include "kernels/emulator/emulator.h"

namespace kagami {
namespace {

ImageSet grey(int count) {
  ImageSetBuilder builder;
  for (int i = 0; i < count; ++i)
    builder.add(std::vector<std::uint8_t>(4 * 4 * 3, static_cast<std::uint8_t>(i)), 4, 4, "grey");
  return builder.finish();
}

TEST(DevicePixels, ASetThatIsTooLargeStaysOnTheHost) {
  const ImageSet set = grey(6);
  const Device device = Device::cuda(0);
  const std::int64_t bytes = set.image_bytes();
  EXPECT_FALSE(DevicePixels(set, device, bytes, 2).streams());
  EXPECT_TRUE(DevicePixels(set, device, bytes - 1, 2).streams());
  EXPECT_FALSE(DevicePixels(set, Device::cpu(), 0, 2).streams());
  const emulator::Config before = emulator::config();
  emulator::config().memory = static_cast<std::size_t>(2 * bytes - 1);
  EXPECT_TRUE(DevicePixels(set, device, bytes, 2).streams());  // with the memory that the one above gave back
  emulator::config() = before;
}

}  // namespace
}  // namespace kagami
#endif
