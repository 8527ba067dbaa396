// cp.async and mbarriers.
#include <algorithm>
#include <cstring>

#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
using namespace detail;
bool Worker::lazy() { return cfg.async == Async::lazy || (cfg.async == Async::random && rng.below(2)); }

void Worker::complete_copy(const CopyAsync& c) {
  counts.cp_async_bytes += unsigned(c.src_bytes);
  touch(c.src, size_t(c.src_bytes));
  touch(c.dst, size_t(c.bytes), true);
  std::memcpy(c.dst, c.src, size_t(c.src_bytes));
  std::memset(static_cast<char*>(c.dst) + c.src_bytes, 0, size_t(c.bytes - c.src_bytes));
  tsan_read(c.src, size_t(c.src_bytes));
  tsan_write(c.dst, size_t(c.bytes));
}

void Worker::count_bank_conflicts(const void* destination, int bytes) {
  auto& issued = self->warp->copies;
  if (self->copies_issued == issued.size()) issued.emplace_back();
  CopyInstruction& instruction = issued[self->copies_issued++];
  const int lanes_at_once = 128 / bytes, group = self->lane / lanes_at_once;
  const auto place = reinterpret_cast<uintptr_t>(destination) / unsigned(bytes) % unsigned(lanes_at_once);
  const std::uint8_t meet = ++instruction.in_bank[size_t(group * lanes_at_once) + place];
  if (meet <= instruction.turns[group]) return;
  instruction.turns[group] = meet;
  counts.cp_async_conflicts += meet > 1;
}

void cp_async(void* dst, const void* src, int bytes, int src_bytes, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  w.check_shared(dst, size_t(bytes), size_t(bytes), "cp.async destination", loc);
  if (reinterpret_cast<uintptr_t>(src) % unsigned(bytes)) w.fail("cp.async: misaligned global address", loc);
  if (src_bytes < 0 || src_bytes > bytes) w.fail("cp.async: bad source size", loc);
  w.count_bank_conflicts(dst, bytes);
  CopyAsync c{dst, src, bytes, src_bytes, w.self->copy_group};
  if (w.lazy()) {
    std::memset(dst, 0xFF, size_t(bytes));  // reading before the wait gives NaN
    w.self->copies.push_back(c);
  } else {
    w.complete_copy(c);
  }
}
void cp_async_commit(Loc) { ++worker().self->copy_group; }
void cp_async_wait(int newest, Loc) {
  Quiet quiet;
  Worker& w = worker();
  Thread& t = *w.self;
  std::erase_if(t.copies, [&](const CopyAsync& c) {
    if (c.group >= t.copy_group - newest) return false;
    w.complete_copy(c);
    return true;
  });
}

// 64-bit object: | 62: valid | 61: phase | 41..60: expected | 21..40: pending | 0..20: tx + 2^20 |
namespace {
constexpr int64_t tx_zero = 1 << 20;
struct MBarrier {
  bool phase;
  uint32_t expected, pending;
  int64_t tx;
};
MBarrier unpack(Worker& w, uint64_t* bar, const char* what, Loc loc) {
  w.check_shared(bar, 8, 8, what, loc);
  const uint64_t v = *bar;
  if (v >> 62 != 1) w.fail(std::string(what) + ": mbarrier is not initialised (or was overwritten)", loc);
  return {bool(v >> 61 & 1), uint32_t(v >> 41 & 0xFFFFF), uint32_t(v >> 21 & 0xFFFFF), int64_t(v & 0x1FFFFF) - tx_zero};
}
uint64_t pack(const MBarrier& m) {
  return 1ull << 62 | uint64_t(m.phase) << 61 | uint64_t(m.expected) << 41 | uint64_t(m.pending) << 21 |
         uint64_t(m.tx + tx_zero);
}
}  // namespace

void Worker::mbarrier_update(uint64_t* bar, int arrivals, int64_t tx, Loc loc) {
  MBarrier m = unpack(*this, bar, "mbarrier", loc);
  m.tx += tx;
  if (m.tx >= tx_zero || m.tx <= -tx_zero) fail("mbarrier: transaction count out of range", loc);
  if (uint32_t(arrivals) > m.pending) fail("mbarrier: more arrivals in one phase than it was initialised for", loc);
  m.pending -= uint32_t(arrivals);
  if (m.pending == 0 && m.tx == 0) {
    const uint32_t completed = m.phase;
    m.phase = !m.phase;
    m.pending = m.expected;
    for (int i = 0; i < count; ++i) {
      Thread& t = *threads[i];
      if (t.state == Thread::waiting && t.wait_object == bar && t.wait_parity == completed) wake(t);
    }
  }
  *bar = pack(m);
}

void mbarrier_init(uint64_t* bar, uint32_t n, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  w.check_shared(bar, 8, 8, "mbarrier.init", loc);
  if (n == 0 || n >= 1u << 20) w.fail("mbarrier.init: bad count", loc);
  tsan_write(bar, 8);
  *bar = pack({false, n, n, 0});
}
void mbarrier_expect_tx(uint64_t* bar, uint32_t bytes, Loc loc) {
  Quiet quiet;
  worker().mbarrier_update(bar, 0, bytes, loc);
}
void mbarrier_arrive(uint64_t* bar, uint32_t n, uint32_t expect_tx, Loc loc) {
  Quiet quiet;
  tsan_release(bar);
  worker().mbarrier_update(bar, int(n), expect_tx, loc);
}
bool mbarrier_test_parity(uint64_t* bar, uint32_t parity, bool may_block, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  if (unpack(w, bar, "mbarrier.try_wait", loc).phase != bool(parity)) {
    tsan_acquire(bar);
    return true;
  }
  if (may_block && w.rng.below(8) != 0) {
    w.self->wait_parity = parity;
    w.park("mbarrier.try_wait", loc, bar);
    if (unpack(w, bar, "mbarrier.try_wait", loc).phase == bool(parity)) return false;
    tsan_acquire(bar);
    return true;
  }
  // spurious failure (allowed), but others get their turn
  w.yield();
  return false;
}

}  // namespace kagami::emulator
