// The host interface of an emulated device: work runs when it is queued.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/cuda/runtime.h"
#include "kernels/emulator/emulator.h"

struct CUstream_st {
  int device = 0;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point when;
};

namespace kagami::cuda {

int device_count(std::string*) { return 1; }
DeviceProperties properties(int) { return {"emulated", 8, 6, 7, std::size_t{4} << 30, 99 << 10, true}; }
void check(int status, const char* what) {
  if (status != 0) throw std::runtime_error(std::string(what) + ": error " + std::to_string(status));
}

void* allocate(int, std::size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes) != 0) return nullptr;  // not rounded up: ASan sees the first byte behind
  std::memset(memory, 0xff, bytes);
  return memory;
}
void release(int, void* memory) { std::free(memory); }
void* allocate_pinned(std::size_t bytes) { return allocate(0, bytes); }
void release_pinned(void* memory) { std::free(memory); }

CUstream_st* create_stream(int device) { return new CUstream_st{device}; }
void destroy_stream(CUstream_st* stream) { delete stream; }
void synchronize(CUstream_st*) {}
void copy(void* to, const void* from, std::size_t bytes, CUstream_st*) { std::memcpy(to, from, bytes); }
void fill_bytes(void* to, int value, std::size_t bytes, CUstream_st*) { std::memset(to, value, bytes); }

CUevent_st* create_event() { return new CUevent_st; }
void destroy_event(CUevent_st* event) { delete event; }
void record(CUevent_st* event, CUstream_st*) { event->when = std::chrono::steady_clock::now(); }
void wait(CUstream_st*, CUevent_st*) {}
void synchronize(CUevent_st*) {}
float elapsed(CUevent_st* first, CUevent_st* last) {
  return std::chrono::duration<float, std::milli>(last->when - first->when).count();
}

bool capturing(CUstream_st*) { return false; }

}  // namespace kagami::cuda
