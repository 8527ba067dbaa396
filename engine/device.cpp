#include "engine/device.h"

namespace kagami {

Device Device::cpu() {
  static Arena* memory = new Arena;  // lives as long as the process: tensors in static storage may outlive main
  Device device;
  device.memory_ = memory;
  return device;
}

Cpu Device::as_cpu() const { return Cpu{memory_}; }

Arena& Device::memory() const { return *memory_; }

}  // namespace kagami
