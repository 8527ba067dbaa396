// Fibers, which of them runs next, and the run of one block.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/emulator/fibers.h"

#if defined(KAGAMI_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(KAGAMI_TSAN)
extern "C" {
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_destroy_fiber(void*);
}
#endif

constinit thread_local kagami::uint3 threadIdx{}, blockIdx{};
constinit thread_local kagami::dim3 blockDim{1, 1, 1}, gridDim{1, 1, 1};

namespace kagami::emulator::detail {

constinit thread_local Worker* current_worker = nullptr;
namespace {

struct Abort {};  // unwinds the other fibers once one has failed
}  // namespace

Worker& worker() {
  if (!current_worker) throw Error("emulator: a CUDA builtin was called outside a kernel");
  return *current_worker;
}

Worker::Worker() {
  arena =
      static_cast<unsigned char*>(mmap(nullptr, arena_bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  // page-aligned, so an offset in the arena and the host address are aligned alike
  mprotect(arena + page, arena_bytes, PROT_READ | PROT_WRITE);
  arena += page;
}

Worker::~Worker() {
  unpoison(arena, arena_bytes);
  munmap(arena - page, arena_bytes + 2 * page);
  if (stacks_) munmap(stacks_, stacks_bytes_);
#if defined(KAGAMI_TSAN)
  for (auto& t : threads) __tsan_destroy_fiber(t->tsan_fiber);
#endif
}

void Worker::prepare(int n) {
  if (n <= int(threads.size())) return;
  if (stacks_) munmap(stacks_, stacks_bytes_);
  int capacity = std::max(n, 256);
  const size_t each = cfg.stack_bytes + page;
  stacks_bytes_ = each * size_t(capacity);
  stacks_ =
      static_cast<char*>(mmap(nullptr, stacks_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (stacks_ == MAP_FAILED) throw Error("emulator: no memory for the thread stacks");
  while (int(threads.size()) < capacity) {
    threads.push_back(std::make_unique<Thread>());
#if defined(KAGAMI_TSAN)
    threads.back()->tsan_fiber = __tsan_create_fiber(0);
#endif
  }
  for (int i = 0; i < capacity; ++i) {
    char* low = stacks_ + each * size_t(i) + page;  // the page below stays inaccessible
    mprotect(low, cfg.stack_bytes, PROT_READ | PROT_WRITE);
    threads[i]->stack_low = low;
    threads[i]->stack_bytes = cfg.stack_bytes;
  }
  size_t ring = 1;
  while (ring < size_t(capacity)) ring *= 2;
  queue_.resize(ring);
}

void Worker::switch_fiber(Fiber& from, Fiber& to, bool from_ends) {
  (void)from_ends;
#if defined(KAGAMI_ASAN)
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.asan_fake_stack, to.stack_low, to.stack_bytes);
#endif
#if defined(KAGAMI_TSAN)
  __tsan_switch_to_fiber(to.tsan_fiber, 1 /* no happens-before */);
#endif
  ++counts.switches;
  auto t = boost::context::detail::jump_fcontext(to.context, &from);
  static_cast<Fiber*>(t.data)->context = t.fctx;
#if defined(KAGAMI_ASAN)
  __sanitizer_finish_switch_fiber(from.asan_fake_stack, nullptr, nullptr);
#endif
}

void Worker::entry(boost::context::detail::transfer_t t) {
  static_cast<Fiber*>(t.data)->context = t.fctx;
  Worker& w = *current_worker;
  Thread& me = *w.self;
#if defined(KAGAMI_ASAN)
  const void* low = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &low, &bytes);
  if (t.data == &w.main_) w.main_.stack_low = const_cast<void*>(low), w.main_.stack_bytes = bytes;
#endif
  if (!w.aborting) {
    try {
      tsan_acquire(&launch_begin);
      (*w.body)();
    } catch (const Abort&) {
    } catch (...) {
      if (!w.error) w.error = std::current_exception();
      w.aborting = true;
    }
  }
  {
    Quiet quiet;
    w.thread_exit(me);
  }
  w.switch_to_next(me, true);
  std::abort();
}

void Worker::wake(Thread& t) {
  t.state = Thread::runnable;
  const size_t mask = queue_.size() - 1;
  if (cfg.order == Order::random)
    queue_[tail_++ & mask] = &t;
  else  // before all others: a warp runs ahead as far as it can, so those behind it see what it must not yet write
    queue_[--head_ & mask] = &t;
}

void Worker::abort_all() {
  aborting = true;
  for (int i = 0; i < count; ++i)
    if (threads[i]->state == Thread::waiting) wake(*threads[i]);
}

void Worker::run_engine() {
  Quiet quiet;
  const size_t i = cfg.async == Async::random ? rng.below(uint32_t(pending_tma.size())) : 0;
  TmaOp op = pending_tma[i];
  pending_tma.erase(pending_tma.begin() + long(i));
  try {
    complete_tma(op);
  } catch (...) {  // no thread's fault in particular: not thrown into the one that runs now
    if (!error) error = std::current_exception();
    aborting = true;
  }
}

void Worker::switch_to_next(Fiber& from, bool from_ends) {
  const unsigned mask = unsigned(queue_.size()) - 1;
  if (!aborting && !pending_tma.empty() && cfg.async == Async::random && rng.below(4) == 0) run_engine();
  while (head_ == tail_ && live > 0 && !aborting) {  // nobody can run: let async copies land
    if (pending_tma.empty())
      deadlock();
    else
      run_engine();
  }
  if (aborting) abort_all();
  if (head_ == tail_) {
    self = nullptr;
    switch_fiber(from, main_, from_ends);
    return;
  }
  if (cfg.order == Order::random) std::swap(queue_[head_ & mask], queue_[(head_ + rng.below(tail_ - head_)) & mask]);
  Thread& next = *queue_[head_++ & mask];
  Thread* me = self;
  self = &next;
  threadIdx = next.tid;
  if (&next == &from) return;
  switch_fiber(from, next, from_ends);
  self = me;  // back again
}

void Worker::park(const char* what, Loc loc, const void* object) {
  Thread& me = *self;
  me.state = Thread::waiting;
  me.wait_what = what;
  me.wait_loc = loc;
  me.wait_object = object;
  switch_to_next(me, false);
  self = &me;
  threadIdx = me.tid;
  if (aborting && !std::uncaught_exceptions()) throw Abort{};
}

void Worker::yield() {
  Thread& me = *self;
  queue_[tail_++ & (queue_.size() - 1)] = &me;  // behind all others: it waits for one of them
  switch_to_next(me, false);
  self = &me;
  threadIdx = me.tid;
  if (aborting && !std::uncaught_exceptions()) throw Abort{};
}

void Worker::run_block(const std::string& kernel, dim3 grid, dim3 block, uint3 block_index, size_t smem, uint64_t seed,
                       const std::function<void()>& thread_body) {
  cfg = config();
  count = live = int(block.x * block.y * block.z);
  prepare(count);
  ++counts.blocks;
  kernel_ = kernel;
  block_index_ = block_index;
  seed_ = cfg.seed;
  rng = Random(seed);
  body = &thread_body;
  aborting = false;
  error = nullptr;
  pending_tma.clear();
  for (auto& b : barriers) b = Barrier{};
  warps.assign(size_t(count + 31) / 32, Warp{});
  warpgroups.assign(size_t(count + 127) / 128, WarpGroup{});

  unpoison(arena, arena_bytes);
#if defined(KAGAMI_TSAN)  // fresh pages: forget the accesses of the block before
  mmap(arena, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
#endif
  std::memset(arena + dynamic_base, 0xFF, smem);
  dynamic_bytes = smem;
  static_top = static_base = dynamic_base + smem;
  static_bytes = 0;
  statics.clear();
  async_view.clear();
  poison(arena, dynamic_base);
  poison(arena + dynamic_base + smem, arena_bytes - dynamic_base - smem);

  head_ = tail_ = 0;
  for (int i = 0; i < count; ++i) {
    Thread& t = *threads[i];
    t.index = i;
    t.lane = i % 32;
    t.tid = uint3{i % block.x, i / block.x % block.y, i / (block.x * block.y)};
    t.warp = &warps[i / 32];
    t.warp->index = i / 32;
    t.warp->lane[t.warp->size++] = &t;
    t.copies.clear();
    t.stores.clear();
    t.copy_group = t.store_group = 0;
    t.copies_issued = 0;
    t.context = boost::context::detail::make_fcontext(static_cast<char*>(t.stack_low) + t.stack_bytes, t.stack_bytes,
                                                      &Worker::entry);
  }
  for (int i = 0; i < count; ++i)
    wake(*threads[cfg.order == Order::forward ? count - 1 - i : i]);  // the last one woken starts

  tsan_release(&launch_begin);
  Worker* outer = current_worker;
  current_worker = this;
  blockIdx = block_index;
  blockDim = block;
  gridDim = grid;
#if defined(KAGAMI_TSAN)
  main_.tsan_fiber = __tsan_get_current_fiber();
#endif
  switch_to_next(main_, false);
  current_worker = outer;
  unpoison(arena, arena_bytes);
  if (!error) return;
  tsan_acquire(&launch_end);  // whoever reads the message
  for (const auto& t : threads) unpoison(t->stack_low, t->stack_bytes);  // of frames that were left at once
  std::rethrow_exception(error);
}

void Worker::thread_exit(Thread& t) {
  tsan_release(&launch_end);
  t.state = Thread::done;
  --live;
  Warp& w = *t.warp;
  w.exited |= 1u << t.lane;
  if (aborting) return;
  auto report = [&](const std::string& m) {
    error = std::make_exception_ptr(Error(m + where()));
    aborting = true;
  };
  if (!t.stores.empty()) return report("a thread ended with TMA stores it has not waited for");
  for (auto& op : warpgroups[t.index / 128].ops)
    if (!op.done) return report("a thread ended with wgmma operations it has not waited for");
  Barrier& b = barriers[0];
  if (b.arrived && b.expected == count && !b.waiting.empty())
    return report("divergent barrier: thread " + to_string(t.tid) + " ended while " + std::to_string(b.arrived) +
                  " of " + std::to_string(count) + " threads wait at " + b.what + " (" + to_string(b.loc) + ")");
  for (size_t i = 0; i < w.pending.size();) {  // the remaining lanes may now be complete
    Rendezvous r = w.pending[i];
    if (r.arrived == (r.mask & ~w.exited)) {
      w.pending.erase(w.pending.begin() + long(i));
      finish_meeting(w, r);
    } else {
      ++i;
    }
  }
}

}  // namespace kagami::emulator::detail
