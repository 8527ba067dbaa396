#pragma once
// Private to the emulator: fibers, threads, warps, one running block.
#include <boost/context/detail/fcontext.hpp>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/tensor_map.h"
#include "kernels/emulator/emulator.h"
#include "kernels/emulator/sanitizers.h"

namespace kagami::emulator::detail {

struct Fiber {
  boost::context::detail::fcontext_t context = nullptr;
  void* stack_low = nullptr;  // lowest usable address
  size_t stack_bytes = 0;
  void* asan_fake_stack = nullptr;
  void* tsan_fiber = nullptr;
};

struct CopyAsync {
  void* dst;
  const void* src;
  int bytes, src_bytes;
  int group;
};
struct TmaOp {
  bool is_load;
  void* smem;
  TensorMap map;
  uint64_t* bar = nullptr;
  int coord[5] = {}, rank = 0, group = 0, issuer = 0;
};
/// One wgmma.mma_async of a warpgroup. It can only execute once all four warps have issued it, and
/// is complete for all four at once.
struct WgmmaOp {
  int n;
  uint64_t desc_a, desc_b;
  bool accumulate, mn_major_a, mn_major_b;
  int group = 0, warpgroup = 0;
  unsigned issued = 0;  // by which of the four warps
  bool done = false;
  float* d[128] = {};           // each thread's accumulator registers
  std::vector<float> saved[4];  // their values at issue, per warp; until completion they hold NaN
};
struct WarpGroup {
  std::deque<WgmmaOp> ops;  // ops[i] has sequence number first + i
  uint64_t first = 0;
  char issued_tag = 0, completed_tag = 0;  // ThreadSanitizer
};

class Worker;
struct Warp;
struct Thread : Fiber {
  uint3 tid{};
  int index = 0, lane = 0;
  Warp* warp = nullptr;
  enum { runnable, waiting, done } state = runnable;
  const char* wait_what = "";
  Loc wait_loc;
  const void* wait_object = nullptr;
  uint32_t wait_parity = 0;
  int vote_result = 0;
  bool quiet = false;  // see class Quiet
  std::vector<CopyAsync> copies;
  int copy_group = 0;
  std::size_t copies_issued = 0;
  std::vector<TmaOp> stores;
  int store_group = 0;
};

/// Lanes of one warp meeting in one warp-collective operation.
struct Rendezvous {
  using Finish = void (*)(Worker&, Warp&, Rendezvous&);  // run once, by the last lane to arrive
  unsigned mask = 0, arrived = 0;
  Finish finish = nullptr;
  const char* what = "";
  Loc loc;
  void* payload[32];
};
/// The n-th cp.async of each lane of a warp. The hardware writes 128 bytes at once: the copies of 8 lanes, or of 32.
struct CopyInstruction {
  std::uint8_t in_bank[32] = {};  // how many copies of a turn go to one place in its 128 bytes
  std::uint8_t turns[4] = {};
};
struct Warp {
  Thread* lane[32] = {};
  int index = 0, size = 0;
  unsigned exited = 0;
  std::vector<Rendezvous> pending;
  std::vector<CopyInstruction> copies;
  uint64_t wgmma_issued = 0;
  int wgmma_group = 0;
  bool wgmma_fenced = false;
  uint64_t sync_tag[2] = {};  // addresses for ThreadSanitizer
  unsigned generation = 0;
};

struct Barrier {
  int expected = 0, arrived = 0;
  const char* what = "";
  Loc loc;
  Vote vote = Vote::none;
  int votes = 0;
  std::vector<Thread*> waiting;
  char sync_tag[2] = {};
  unsigned generation = 0;
};

class Random {  // splitmix64
 public:
  explicit Random(uint64_t s) : s_(s) {}
  uint64_t next() {
    uint64_t z = (s_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t n) { return uint32_t((next() >> 32) * n >> 32); }

 private:
  uint64_t s_;
};

/// Runs blocks one after another on one OS thread; keeps stacks and the shared-memory arena.
class Worker {
 public:
  Worker();
  ~Worker();
  Worker(const Worker&) = delete;

  void run_block(const std::string& kernel, dim3 grid, dim3 block, uint3 block_index, size_t smem, uint64_t seed,
                 const std::function<void()>& body);

  // -- used by the builtins, on the current fiber
  [[noreturn]] void fail(const std::string& message, Loc loc);
  void require_arch(int arch, const char* what, Loc loc);
  void park(const char* what, Loc loc, const void* object = nullptr);
  void yield();
  void wake(Thread& t);
  void complete_barrier(Barrier& b);
  /// Meet the lanes of mask. aligned: all 32 lanes must take part, as .aligned instructions demand.
  void meet(unsigned mask, const char* what, bool aligned, void* payload, Loc loc, Rendezvous::Finish finish);
  void finish_meeting(Warp& w, Rendezvous& r);
  bool lazy();  // does the async operation just issued take effect later?
  void complete_tma(TmaOp&);
  void complete_wgmma(WgmmaOp&);
  void complete_copy(const CopyAsync&);
  void count_bank_conflicts(const void* destination, int bytes);
  void mbarrier_update(uint64_t* bar, int arrivals, int64_t tx, Loc loc);
  void check_shared(const void* p, size_t bytes, size_t align, const char* what, Loc loc);
  void use_async_view();

  Config cfg;
  Stats counts{};
  Random rng{0};
  std::vector<std::unique_ptr<Thread>> threads;  // grows, reused
  std::vector<Warp> warps;
  std::vector<WarpGroup> warpgroups;
  int count = 0, live = 0;
  Thread* self = nullptr;
  Barrier barriers[16];
  std::vector<TmaOp> pending_tma;
  // shared memory
  unsigned char* arena = nullptr;
  size_t static_base = 0, static_top = 0, static_bytes = 0,
         dynamic_bytes = 0;  // static arrays lie behind the dynamic part
  struct Static {
    const void* tag;
    size_t offset;
  };
  std::vector<Static> statics;
  std::vector<unsigned char> async_view;  // what the async proxy sees (empty until used)
  std::vector<float> scratch;             // wgmma operands
  std::string where() const;              // kernel, block, seed: ends every message
  bool aborting = false;
  std::exception_ptr error;
  const std::function<void()>* body = nullptr;
  void* tsan_engine = nullptr;

  static constexpr size_t arena_bytes = 256 << 10;  // 18-bit shared addresses
  static constexpr size_t dynamic_base = 1024;      // as on sm_90: 1 KB is reserved

 private:
  static void entry(boost::context::detail::transfer_t);
  void switch_to_next(Fiber& from, bool from_ends);
  void switch_fiber(Fiber& from, Fiber& to, bool from_ends);
  void thread_exit(Thread&);
  void abort_all();
  void run_engine();
  void deadlock();
  void prepare(int n);

  Fiber main_;
  std::vector<Thread*> queue_;  // runnable ones: a ring of a power-of-two size
  unsigned head_ = 0, tail_ = 0;
  char* stacks_ = nullptr;
  size_t stacks_bytes_ = 0;
  std::string kernel_;
  uint3 block_index_{};
  uint64_t seed_ = 0;
  friend std::string describe(const Worker&, const Thread&);
};

extern constinit thread_local Worker* current_worker;  // null outside a kernel; gdb_emulator.py looks at it
Worker& worker();                                      // of the current fiber; throws outside a kernel

constexpr std::size_t page = 4096;
/// Makes a crash in a kernel name the kernel, block and thread. Once per OS thread.
void install_crash_report();

/// Of the launch with this __PRETTY_FUNCTION__.
std::string kernel_name(std::string_view pretty);
std::string to_string(Loc);
std::string to_string(uint3);

/// 128-byte swizzle: the index of a 16-byte chunk (address bits 4..6) ^= the index of its 128-byte row (bits 7..9).
inline std::size_t swizzle128(std::size_t address) { return address ^ (address >> 3 & 0x70); }

bool same_place(const Loc& a, const Loc& b);
}  // namespace kagami::emulator::detail
