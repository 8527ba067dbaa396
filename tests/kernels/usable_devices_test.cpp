#include "kernels/cuda/usable_devices.h"

#include <gtest/gtest.h>

namespace kagami::cuda {
namespace {

constexpr const char* everything = "80-real 86-real 89-real 90a-real 80-virtual";

DeviceProperties gpu(const char* name, int major, int minor) { return {name, major, minor, 100, 1 << 30, 99 << 10}; }

std::string why_none(const DriverReport& report, const char* architectures = everything) {
  std::string why;
  EXPECT_EQ(usable_devices(report, architectures, &why), 0);
  EXPECT_EQ(usable_devices(report, architectures, nullptr), 0);
  EXPECT_EQ(why.find('\n'), std::string::npos) << why;
  return why;
}

TEST(UsableDevices, NoDriverSaysSo) {
  EXPECT_EQ(why_none({insufficient_driver, "CUDA driver version is insufficient", 0, 13000}),
            "no NVIDIA driver is loaded");
}

TEST(UsableDevices, AnOldDriverIsToldWhatIsNeeded) {
  EXPECT_EQ(why_none({insufficient_driver, "CUDA driver version is insufficient", 12040, 13000}),
            "the NVIDIA driver knows CUDA up to 12.4, this program needs 13.0: update the driver, or build Kagami with "
            "CUDA 12");
  EXPECT_EQ(why_none({insufficient_driver, "CUDA driver version is insufficient", 11080, 13000}),
            "the NVIDIA driver knows CUDA up to 11.8, this program needs 13.0: update the driver");
}

TEST(UsableDevices, ADriverWithoutAGpuSaysSo) {
  for (const int status : {0, no_device})
    EXPECT_EQ(why_none({status, "no CUDA-capable device is detected", 13000, 13000}), "the NVIDIA driver shows no GPU");
}

TEST(UsableDevices, AnyOtherErrorKeepsCudasWords) {
  EXPECT_EQ(why_none({802, "system not yet initialized", 13000, 13000}), "system not yet initialized (CUDA error 802)");
}

TEST(UsableDevices, ADeviceOfAnOldGenerationIsNamed) {
  EXPECT_EQ(why_none({0, "", 13000, 12050, {gpu("Tesla T4", 7, 5), gpu("H100", 9, 0)}}),
            "Tesla T4 has compute capability 7.5; 8.0 or later is needed");
}

TEST(UsableDevices, ADeviceTheKernelsWereNotCompiledForIsNamed) {
  EXPECT_EQ(why_none({0, "", 13000, 13000, {gpu("A100", 8, 0)}}, "86-real 90a-real"),
            "A100 has compute capability 8.0, and this program was compiled for 86-real 90a-real: build it with "
            "-DCMAKE_CUDA_ARCHITECTURES=80");
  EXPECT_EQ(why_none({0, "", 13000, 13000, {gpu("H100", 9, 0)}}, "80-real"),
            "H100 has compute capability 9.0, and this program was compiled for 80-real: build it with "
            "-DCMAKE_CUDA_ARCHITECTURES=90a");
}

TEST(UsableDevices, AreCountedFromTheFirst) {
  const DriverReport report{0, "", 13000, 13000, {gpu("A100", 8, 0), gpu("H100", 9, 0), gpu("T4", 7, 5)}};
  std::string why = "nothing";
  EXPECT_EQ(usable_devices(report, everything, &why), 2);
  EXPECT_EQ(usable_devices(report, "80-real", &why), 1);
  EXPECT_EQ(why, "nothing");
}

TEST(UsableDevices, MachineCodeServesItsGenerationAndPtxAllLaterOnes) {
  struct {
    const char* architectures;
    int major, minor;
    bool runs;
  } const cases[] = {{"80-real", 8, 0, true},     {"80-real", 8, 9, true},    {"86-real", 8, 0, false},
                     {"80-real", 9, 0, false},    {"80-virtual", 9, 0, true}, {"80", 12, 0, true},
                     {"90-virtual", 8, 9, false}, {"90a-real", 9, 0, true},   {"90a-virtual", 10, 0, false},
                     {"90a-real", 10, 3, false},  {"90a", 10, 0, false},      {"75-real 86-real", 8, 9, true},
                     {"100f-real", 10, 3, true},  {"native", 8, 6, true},     {"all-major", 9, 0, true}};
  for (const auto& c : cases)
    EXPECT_EQ(compiled_for(c.architectures, c.major, c.minor), c.runs)
        << c.architectures << " on " << c.major << '.' << c.minor;
  EXPECT_TRUE(compiled_for(everything, 12, 1));
}

}  // namespace
}  // namespace kagami::cuda
