#pragma once
// Devices: where memory lies and where kernels run.
#include <cstddef>
#include <memory>
#include <ostream>
#include <string>

#include "kernels/indices.h"
#include "kernels/launch.h"

namespace kagami {

/// A handle to one device; copies are the same device. There is no default device: every tensor says where it lives.
class Device {
 public:
  static Device cpu();
  /// The CUDA device of this number, from 0. Throws InputError where there is none, saying why.
  static Device cuda(int number);
  /// How many CUDA devices can be used; emulated ones count. If none, `why_none` says why.
  static int cuda_count(std::string* why_none = nullptr);

  bool is_cpu() const;
  bool emulated() const;  ///< a CUDA device whose kernels run on CPU fibers
  bool operator==(const Device&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Device& device);

  std::size_t memory_bytes() const;  ///< of a CUDA device, used or not

  /// What a kernel takes as its first argument. as_cuda() makes the device this thread's current one, so that a program
  /// may use several in turn.
  Cpu as_cpu() const;
#if KAGAMI_HAS_CUDA
  Cuda as_cuda() const;
  CUstream_st* feed_stream() const;  ///< for copies that run beside the device's work
#endif
  Arena& memory() const;

  // Moving bytes. Host memory may be reused when a call returns; work queued on the device before comes first.
  void copy_in(void* to, const void* host, std::size_t bytes) const;
  void copy_out(void* host, const void* from, std::size_t bytes) const;
  void copy_within(void* to, const void* from, std::size_t bytes) const;
  void clear(void* to, std::size_t bytes) const;  ///< to zero bytes
  /// Waits until the device has done what was queued.
  void synchronize() const;

  /// Throws std::runtime_error while this thread records a step on the device: `what` cannot be part of it.
  void refuse_in_recording(const char* what) const;

  /// Where kernels note an index that is out of range, and the number under which a message about indices that are
  /// checked in one place goes: "<before>[position] = value<after>", of no index "<before><after>". copy_out() and
  /// synchronize() throw it as InputError.
  IndexFault* index_fault() const;
  std::uint32_t fault_site(const std::string& before, const std::string& after) const;
  void report_index_fault() const;  ///< after a wait for the device

 private:
  struct State;
  const State* state_ = nullptr;
};

}  // namespace kagami
