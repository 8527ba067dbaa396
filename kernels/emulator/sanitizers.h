#pragma once
// What AddressSanitizer and ThreadSanitizer are told about the emulated machine; nothing in ordinary builds.
#include <cstddef>

namespace kagami::emulator::detail {

class Worker;

/// Tags of the only order between blocks.
extern char launch_begin, launch_end;

void poison(void* memory, std::size_t bytes);
void unpoison(void* memory, std::size_t bytes);
/// What the emulator, which is not instrumented, reads or writes on behalf of a thread: ASan sees its red zones.
void touch(const void* memory, std::size_t bytes, bool writes = false);

void tsan_release(void* tag);
void tsan_acquire(void* tag);
void tsan_read(const void* p, std::size_t bytes);
void tsan_write(void* p, std::size_t bytes);
/// What the copy engine and the tensor cores access is theirs, not the CUDA thread's.
class OnEngine {
 public:
  OnEngine(Worker&, void* issued_tag, void* completed_tag);
  ~OnEngine();

 private:
  [[maybe_unused]] void *completed_, *before_ = nullptr;
};
/// While one lives, what the runtime itself does on this fiber (malloc, memcpy) is no race.
class Quiet {
 public:
  Quiet();
  ~Quiet();

 private:
  bool mine_ = false;
};

}  // namespace kagami::emulator::detail
