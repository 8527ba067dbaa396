#pragma once
// Devices: where memory lies and where kernels run.
#include <memory>
#include <ostream>

#include "kernels/launch.h"

namespace kagami {

/// A handle to one device; copies are the same device. There is no default device: every tensor says where it lives.
class Device {
 public:
  static Device cpu();
  bool operator==(const Device&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Device&) { return out << "cpu"; }

  /// What a CPU kernel takes as its first argument.
  Cpu as_cpu() const;
  Arena& memory() const;

 private:
  Arena* memory_ = nullptr;
};

}  // namespace kagami
