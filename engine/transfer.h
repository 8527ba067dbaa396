#pragma once
// Copies between host and device that nobody waits for: through pinned memory, in order with the device's work.
#include <cstddef>
#include <memory>
#include <vector>

#include "engine/tensor.h"

namespace kagami {

/// What the host sends to a device step after step. It writes one slot of pinned memory while earlier ones are on their
/// way; on the CPU a copy is at once.
class UploadRing {
 public:
  UploadRing(Device device, std::size_t bytes, int slots = 4);
  ~UploadRing();
  UploadRing(UploadRing&&) noexcept;
  UploadRing& operator=(UploadRing&&) noexcept;

  /// The next slot. Waits while its last content is still on its way.
  void* next();
  /// Queues the copy of the slot's first `bytes` to `to`, behind the work that is queued on the device.
  void send(void* to, std::size_t bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Single numbers on their way back from a device: asked for in order, taken in order.
class Readback {
 public:
  Readback(Device device, int slots);
  ~Readback();
  Readback(Readback&&) noexcept;
  Readback& operator=(Readback&&) noexcept;

  /// Queues the copy of a tensor of one element, f32 or f64. At most as many as there are slots may be pending.
  void request(const Tensor& number);
  int pending() const;
  /// The one asked for first. Waits until it is there.
  double take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Two pieces of device memory that are filled in turn by copies on a stream of their own, each while the device works
/// on the other: fill() and then acquire() before the work that reads it, release() after it.
class DoubleBuffer {
 public:
  /// `bytes` of each.
  DoubleBuffer(Device device, std::size_t bytes);
  ~DoubleBuffer();
  DoubleBuffer(DoubleBuffer&&) noexcept;
  DoubleBuffer& operator=(DoubleBuffer&&) noexcept;

  /// Pinned memory for the content of the piece whose turn it is. Waits while the last one is still on its way.
  std::uint8_t* host();
  /// Where that content will lie on the device.
  const std::uint8_t* device() const;
  /// Queues the copy of the first `bytes`, behind the work that reads what is there now.
  void fill(std::size_t bytes);
  /// Work that is queued from here on comes after the copy.
  void acquire();
  /// The work that reads it is queued; the other piece is next.
  void release();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kagami
