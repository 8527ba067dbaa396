// Shared memory: one arena a worker, NaN at the start of a block, red zones around every array.
#include <cstring>

#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
namespace detail {
void Worker::check_shared(const void* p, size_t bytes, size_t align, const char* what, Loc loc) {
  auto* c = static_cast<const unsigned char*>(p);
  if (c < arena || c + bytes > arena + arena_bytes) fail(std::string(what) + ": not a shared-memory address", loc);
  size_t off = size_t(c - arena);
  if (off % align)
    fail(std::string(what) + ": shared address " + std::to_string(off) + " is not " + std::to_string(align) +
             "-byte aligned",
         loc);
  bool dynamic = off >= dynamic_base && off + bytes <= dynamic_base + dynamic_bytes;
  bool fixed = off >= static_base && off + bytes <= static_top;
  if (!dynamic && !fixed) fail(std::string(what) + ": outside the block's shared memory", loc);
}

}  // namespace detail

using namespace detail;

void* static_shared(const void* tag, size_t bytes, size_t align) {
  Quiet quiet;
  Worker& w = worker();
  for (auto& s : w.statics)
    if (s.tag == tag) return w.arena + s.offset;
  size_t offset = (w.static_top + 64 + align - 1) / align * align;  // 64-byte red zone before each array
  w.static_bytes += bytes;
  const size_t limit = shared_limit(w.cfg.arch);
  if (w.static_bytes > 48 << 10 || w.static_bytes + w.dynamic_bytes > limit || offset + bytes > Worker::arena_bytes)
    w.fail("too much shared memory: " + std::to_string(w.static_bytes) + " bytes static (at most 49152), " +
               std::to_string(w.dynamic_bytes) + " dynamic; a block may have " + std::to_string(limit) + " on sm_" +
               std::to_string(w.cfg.arch),
           Loc::current());
  unpoison(w.arena + offset, bytes);
  std::memset(w.arena + offset, 0xFF, bytes);
  w.static_top = offset + bytes;
  w.statics.push_back({tag, offset});
  return w.arena + offset;
}

void* dynamic_shared_bytes(size_t bytes, size_t align) {
  Worker& w = worker();
  if (bytes > w.dynamic_bytes)
    w.fail(
        "dynamic_shared needs " + std::to_string(bytes) + " bytes, the launch gave " + std::to_string(w.dynamic_bytes),
        Loc::current());
  if (align > 1024) w.fail("dynamic shared memory is only 1024-byte aligned", Loc::current());
  return w.arena + Worker::dynamic_base;
}

uint32_t shared_address(const void* p) {
  Worker& w = worker();
  auto* c = static_cast<const unsigned char*>(p);
  if (c < w.arena || c >= w.arena + Worker::arena_bytes) w.fail("not a shared-memory address", Loc::current());
  return uint32_t(c - w.arena);
}

}  // namespace kagami::emulator
