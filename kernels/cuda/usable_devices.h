#pragma once
// Which devices this program can use, and why it can use none: from what the driver says, without a call to it.
#include <algorithm>
#include <cctype>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cuda/runtime.h"

namespace kagami::cuda {

constexpr int oldest_major = 8;  ///< of the compute capabilities that the kernels are written for
constexpr int oldest_cuda = 12;  ///< that can build this; what a CUDA built runs on drivers of its major version
constexpr int insufficient_driver = 35, no_device = 100;  ///< CUDA's numbers of these errors

/// What CUDA's runtime says before a device is used.
struct DriverReport {
  int status = 0;               ///< of counting the devices: a cudaError_t
  std::string status_text;      ///< in CUDA's words
  int driver = 0, runtime = 0;  ///< the CUDA that the driver knows and that this program needs; 13000 is 13.0; 0: none
  std::vector<DeviceProperties> devices = {};
};

/// Whether kernels that were compiled for `architectures`, words as in CMAKE_CUDA_ARCHITECTURES, run on a device:
/// machine code on its own generation from its own number on, PTX on all later ones, 90a on 9.0 alone.
inline bool compiled_for(const std::string& architectures, int major, int minor) {
  std::istringstream words(architectures);
  for (std::string word; words >> word;) {
    if (!std::isdigit(static_cast<unsigned char>(word[0]))) return true;  // all, native, ...: not for us to know
    std::size_t digits = 0;
    const int number = std::stoi(word, &digits), device = 10 * major + minor;
    const bool specific = digits < word.size() && word[digits] == 'a';
    const bool machine_code = !word.ends_with("-virtual"), ptx = !word.ends_with("-real");
    if (number == device) return true;
    if (specific || number > device) continue;
    if (ptx || (machine_code && number / 10 == major)) return true;
  }
  return false;
}

/// In one line; empty when the device can be used.
inline std::string why_unusable(const DeviceProperties& device, const std::string& architectures) {
  const std::string number = std::to_string(device.major) + "." + std::to_string(device.minor);
  const std::string has = device.name + " has compute capability " + number;
  if (device.major < oldest_major) return has + "; 8.0 or later is needed";
  if (compiled_for(architectures, device.major, device.minor)) return "";
  const bool has_specific = device.major == 9 && device.minor == 0;  // wgmma is in 90a alone
  return has + ", and this program was compiled for " + architectures +
         ": build it with -DCMAKE_CUDA_ARCHITECTURES=" + std::to_string(10 * device.major + device.minor) +
         (has_specific ? "a" : "");
}

/// Why there is no device at all.
inline std::string why_no_device(const DriverReport& report) {
  const auto version = [](int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
  };
  if (report.driver == 0) return "no NVIDIA driver is loaded";
  if (report.status == insufficient_driver)
    return "the NVIDIA driver knows CUDA up to " + version(report.driver) + ", this program needs " +
           version(report.runtime) + ": update the driver" +
           (report.driver / 1000 >= oldest_cuda ? ", or build Kagami with CUDA " + std::to_string(report.driver / 1000)
                                                : "");
  if (report.status == 0 || report.status == no_device) return "the NVIDIA driver shows no GPU";
  return report.status_text + " (CUDA error " + std::to_string(report.status) + ")";
}

/// How many devices, from the first on, can be used. If none, `why_none` (or null) says why, in one line.
inline int usable_devices(const DriverReport& report, const std::string& architectures, std::string* why_none) {
  const auto usable = [&](const DeviceProperties& device) { return why_unusable(device, architectures).empty(); };
  const auto end = std::find_if_not(report.devices.begin(), report.devices.end(), usable);
  if (end == report.devices.begin() && why_none)
    *why_none = report.devices.empty() ? why_no_device(report) : why_unusable(*end, architectures);
  return static_cast<int>(end - report.devices.begin());
}

}  // namespace kagami::cuda
