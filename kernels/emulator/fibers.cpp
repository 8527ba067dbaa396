// Fibers, scheduling, launch, shared memory, block barriers, warp collectives without tensor cores.
#include "kernels/emulator/fibers.h"
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#if defined(KAGAMI_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(KAGAMI_TSAN)  // the kernels are instrumented, the runtime is not
extern "C" {
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
void __tsan_read_range(void*, unsigned long);
void __tsan_write_range(void*, unsigned long);
void __tsan_destroy_fiber(void*);
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

constinit thread_local kagami::uint3 threadIdx{}, blockIdx{};
constinit thread_local kagami::dim3 blockDim{1, 1, 1}, gridDim{1, 1, 1};

namespace kagami::emulator {
namespace {
long env(const char* name, long fallback) {
  const char* v = std::getenv(name);
  return v ? std::strtol(v, nullptr, 0) : fallback;
}
}  // namespace

Config& config() {
  static Config c = [] {
    Config d;
    d.seed = uint64_t(env("KAGAMI_EMULATOR_SEED", 1));
    d.order = Order(env("KAGAMI_EMULATOR_ORDER", long(Order::random)));
    d.async = Async(env("KAGAMI_EMULATOR_ASYNC", long(Async::random)));
    d.workers = int(env("KAGAMI_EMULATOR_WORKERS", 1));
#if defined(KAGAMI_ASAN) || defined(KAGAMI_TSAN) || !defined(__OPTIMIZE__)
    d.stack_bytes = 256 << 10;
#endif
    return d;
  }();
  return c;
}

Stats& stats() {
  static Stats s{};
  return s;
}

namespace detail {
constinit thread_local Worker* current_worker = nullptr;  // (gdb_simt.py looks at it)
namespace {
constexpr size_t page = 4096;
char launch_begin, launch_end;  // ThreadSanitizer: the only order between blocks
struct Abort {};                // unwinds the other fibers once one has failed

void poison(void* p, size_t n) {
#if defined(KAGAMI_ASAN)
  __asan_poison_memory_region(p, n);
#else
  (void)p, (void)n;
#endif
}
void unpoison(void* p, size_t n) {
#if defined(KAGAMI_ASAN)
  __asan_unpoison_memory_region(p, n);
#else
  (void)p, (void)n;
#endif
}
}  // namespace

#if defined(KAGAMI_TSAN)
void tsan_release(void* tag) { __tsan_release(tag); }
void tsan_acquire(void* tag) { __tsan_acquire(tag); }
namespace {
void ignore(bool on) {
  (on ? AnnotateIgnoreReadsBegin : AnnotateIgnoreReadsEnd)(__FILE__, __LINE__);
  (on ? AnnotateIgnoreWritesBegin : AnnotateIgnoreWritesEnd)(__FILE__, __LINE__);
}
thread_local bool on_engine = false;
template <class F>
void loudly(F f) {
  Thread* t = current_worker ? current_worker->self : nullptr;
  const bool was = t && t->quiet && !on_engine;
  if (was) ignore(false);
  f();
  if (was) ignore(true);
}
}  // namespace
void tsan_read(const void* p, size_t n) {
  loudly([&] { __tsan_read_range(const_cast<void*>(p), n); });
}
void tsan_write(void* p, size_t n) {
  loudly([&] { __tsan_write_range(p, n); });
}
Quiet::Quiet() {
  Thread* t = current_worker ? current_worker->self : nullptr;
  mine_ = t && !t->quiet;
  if (mine_) t->quiet = true, ignore(true);
}
Quiet::~Quiet() {
  if (mine_) current_worker->self->quiet = false, ignore(false);
}
OnEngine::OnEngine(Worker& w, void* issued, void* completed) : completed_(completed) {
  if (!w.tsan_engine) w.tsan_engine = __tsan_create_fiber(0);
  before_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(w.tsan_engine, 1);
  on_engine = true;
  tsan_acquire(&launch_begin);
  tsan_acquire(issued);
}
OnEngine::~OnEngine() {
  tsan_release(completed_);
  tsan_release(&launch_end);
  on_engine = false;
  __tsan_switch_to_fiber(before_, 1);
}
#else
OnEngine::OnEngine(Worker&, void*, void* c) : completed_(c) {}
OnEngine::~OnEngine() {}
Quiet::Quiet() {}
Quiet::~Quiet() {}
void tsan_release(void*) {}
void tsan_acquire(void*) {}
void tsan_read(const void*, size_t) {}
void tsan_write(void*, size_t) {}
#endif

std::string to_string(Loc l) {
  std::string f = l.file_name();
  return f.substr(f.rfind('/') + 1) + ":" + std::to_string(l.line());
}
std::string to_string(uint3 v) {
  return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}
bool same_place(const Loc& a, const Loc& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || !std::strcmp(a.file_name(), b.file_name()));
}

// ------------------------------------------------------------------ crashes name the CUDA thread
namespace {
[[maybe_unused]] void report_crash(const char* what) {
  const Worker* w = current_worker;
  if (!w || !w->self) return;
  const std::string m = std::string("emulator: ") + what + " in thread " + to_string(w->self->tid) + w->where() + "\n";
  [[maybe_unused]] auto n = write(2, m.data(), m.size());
}
#if defined(KAGAMI_ASAN)
extern "C" void __sanitizer_set_death_callback(void (*)());
void install_crash_report() {
  __sanitizer_set_death_callback([] { report_crash("the error above is"); });
}
#elif defined(KAGAMI_TSAN)
void install_crash_report() {}
#else
void on_signal(int number, siginfo_t* info, void*) {
  const Worker* w = current_worker;
  const char* what = number == SIGFPE ? "arithmetic trap" : "bad memory access (wild or misaligned pointer)";
  if (w && w->self) {
    auto* a = static_cast<char*>(info->si_addr);
    auto* low = static_cast<char*>(w->self->stack_low);
    if (a >= low - page && a < low) what = "stack overflow (Config::stack_bytes)";
  }
  report_crash(what);
  signal(number, SIG_DFL);  // returning repeats the instruction: core dump, debugger
}
void install_crash_report() {
  static thread_local std::vector<char> stack(64 << 10);  // a fiber's own may be what overflowed
  stack_t s{};
  s.ss_sp = stack.data();
  s.ss_size = stack.size();
  sigaltstack(&s, nullptr);
  struct sigaction a {};
  a.sa_sigaction = on_signal;
  a.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int n : {SIGSEGV, SIGBUS, SIGFPE}) sigaction(n, &a, nullptr);
}
#endif
}  // namespace

Worker& worker() {
  if (!current_worker) throw Error("emulator: a CUDA builtin was called outside a kernel");
  return *current_worker;
}

// ------------------------------------------------------------------ worker, fibers
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
  queue_[tail_++ & (queue_.size() - 1)] = &t;
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
  wake(me);
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
  static_top = static_base;
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
    unpoison(t.stack_low, t.stack_bytes);
    t.context = boost::context::detail::make_fcontext(static_cast<char*>(t.stack_low) + t.stack_bytes, t.stack_bytes,
                                                      &Worker::entry);
  }
  for (int i = 0; i < count; ++i) wake(*threads[cfg.order == Order::reverse ? count - 1 - i : i]);

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
  if (error) std::rethrow_exception(error);
}

void Worker::thread_exit(Thread& t) {
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
  tsan_release(&launch_end);
}

// ------------------------------------------------------------------ errors
std::string Worker::where() const {
  static const char* orders[] = {"forward", "reverse", "random"};
  static const char* asyncs[] = {"eager", "lazy", "random"};
  return "\n  kernel " + kernel_ + "\n  block " + to_string(block_index_) + ", seed " + std::to_string(seed_) +
         ", order " + orders[int(cfg.order)] + ", async " + asyncs[int(cfg.async)];
}

void Worker::fail(const std::string& message, Loc loc) {
  std::string who = self ? "thread " + to_string(self->tid) + " (warp " + std::to_string(self->index / 32) + " lane " +
                               std::to_string(self->lane) + ")"
                         : "";
  throw Error(message + "\n  at " + to_string(loc) + ", " + who + where());
}

void Worker::deadlock() {
  // group the threads that wait at the same place
  std::map<std::string, std::vector<int>> groups;
  int done = 0;
  for (int i = 0; i < count; ++i) {
    Thread& t = *threads[i];
    if (t.state == Thread::done)
      ++done;
    else
      groups[std::string(t.wait_what) + " (" + to_string(t.wait_loc) + ")"].push_back(i);
  }
  std::string m = "deadlock: no thread of the block can continue" + where();
  for (auto& [place, list] : groups) {
    m += "\n  " + std::to_string(list.size()) + " threads wait at " + place + ": ";
    for (size_t i = 0, shown = 0; i < list.size() && shown < 8; ++shown) {
      size_t j = i;
      while (j + 1 < list.size() && list[j + 1] == list[j] + 1) ++j;
      m += (shown ? "," : "") + std::to_string(list[i]) + (j > i ? "-" + std::to_string(list[j]) : "");
      i = j + 1;
    }
  }
  if (done) m += "\n  " + std::to_string(done) + " threads have ended";
  for (int i = 0; i < 16; ++i)
    if (barriers[i].arrived)
      m += "\n  barrier " + std::to_string(i) + ": " + std::to_string(barriers[i].arrived) + " of " +
           std::to_string(barriers[i].expected) + " arrived";
  error = std::make_exception_ptr(Error(m));
  abort_all();
}

// ------------------------------------------------------------------ warp rendezvous
void Worker::meet(unsigned mask, const char* what, bool aligned, void* payload, Loc loc, Rendezvous::Finish finish) {
  Thread& me = *self;
  Warp& w = *me.warp;
  const unsigned bit = 1u << me.lane, whole = w.size == 32 ? ~0u : (1u << w.size) - 1;
  if (aligned && (whole != ~0u || w.exited)) fail(std::string(what) + ": not all 32 lanes of the warp are there", loc);
  mask &= whole;
  if (!(mask & bit)) fail(std::string(what) + ": the calling lane is not in the mask", loc);
  Rendezvous* r = nullptr;
  for (auto& p : w.pending)
    if (p.mask == mask) r = &p;
  if (!r) {
    r = &w.pending.emplace_back();
    r->mask = mask;
    r->what = what;
    r->loc = loc;
    r->finish = finish;
  } else if (r->finish != finish || !same_place(r->loc, loc)) {
    fail("divergent warp: this lane is at " + std::string(what) + " (" + to_string(loc) +
             ") while other lanes of its mask wait at " + r->what + " (" + to_string(r->loc) + ")",
         loc);
  }
  r->arrived |= bit;
  r->payload[me.lane] = payload;
  if (r->arrived == (mask & ~w.exited)) {
    Rendezvous all = *r;
    w.pending.erase(w.pending.begin() + (r - w.pending.data()));
    finish_meeting(w, all);
  } else {
    park(what, loc, &w);
  }
}

void Worker::finish_meeting(Warp& w, Rendezvous& r) {
  r.finish(*this, w, r);
  for (int i = 0; i < w.size; ++i)
    if ((r.arrived >> i & 1) && w.lane[i] != self) wake(*w.lane[i]);
}

// ------------------------------------------------------------------ shared memory
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
  if (offset + bytes > Worker::arena_bytes) w.fail("too much static shared memory", Loc::current());
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

// ------------------------------------------------------------------ block barriers
namespace {
void join(Barrier& b, int id, int expected, bool whole, const char* what, Vote vote, Loc loc) {
  Worker& w = worker();
  if (id < 0 || id > 15 || (!whole && (expected <= 0 || expected % 32)))
    w.fail(std::string(what) + ": bad barrier id or count", loc);
  if (whole && w.live < w.count)
    w.fail(std::string("divergent barrier: ") + what + " although " + std::to_string(w.count - w.live) + " of " +
               std::to_string(w.count) + " threads have already ended",
           loc);
  if (b.arrived) {
    if (b.expected != expected || b.vote != vote)
      w.fail(std::string(what) + ": barrier is in use with another count", loc);
    if (whole && !same_place(b.loc, loc))
      w.fail(std::string("divergent barrier: this thread is at ") + what + " (" + to_string(loc) + ") while " +
                 std::to_string(b.arrived) + " threads wait at " + b.what + " (" + to_string(b.loc) + ")",
             loc);
  }
  b.expected = expected;
  b.what = what;
  b.loc = loc;
  b.vote = vote;
  ++b.arrived;
  tsan_release(&b.sync_tag[b.generation & 1]);
}

void finish(Worker& w, Barrier& b) {
  int result = b.vote == Vote::all ? b.votes == b.expected : b.vote == Vote::any ? b.votes > 0 : b.votes;
  b.arrived = b.votes = 0;
  ++b.generation;
  ++w.counts.barriers;
  auto waiting = std::move(b.waiting);
  b.waiting.clear();
  for (Thread* t : waiting) t->vote_result = result, w.wake(*t);
  w.self->vote_result = result;
  waiting.clear();
  b.waiting = std::move(waiting);  // keep the capacity
}

int sync(int id, int expected, bool whole, const char* what, Vote vote, int pred, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Barrier& b = w.barriers[id & 15];
  join(b, id, expected, whole, what, vote, loc);
  b.votes += pred != 0;
  const unsigned generation = b.generation;
  if (b.arrived == expected) {
    finish(w, b);
  } else {
    b.waiting.push_back(w.self);
    w.park(what, loc, &b);
  }
  tsan_acquire(&b.sync_tag[generation & 1]);
  return w.self->vote_result;
}
}  // namespace

void bar_sync(int id, int threads, bool whole, const char* what, Loc loc) {
  sync(id, whole ? worker().count : threads, whole, what, Vote::none, 0, loc);
}
int bar_vote(Vote v, int pred, Loc loc) { return sync(0, worker().count, true, "__syncthreads_*", v, pred, loc); }
void bar_arrive(int id, int threads, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Barrier& b = w.barriers[id & 15];
  join(b, id, threads, false, "bar.arrive", Vote::none, loc);
  if (b.arrived == b.expected) finish(w, b);
}

// ------------------------------------------------------------------ shuffles, votes
namespace {
struct Shuffle {
  uint64_t in, out;
  int arg, width;
  Shfl kind;
};
struct Ballot {
  int pred;
  uint32_t ballot;
};
}  // namespace

uint64_t warp_shuffle(Shfl kind, unsigned mask, uint64_t value, int arg, int width, Loc loc) {
  Quiet quiet;
  Shuffle s{value, 0, arg, width, kind};
  worker().meet(mask, "__shfl_sync", false, &s, loc, [](Worker& worker, Warp& w, Rendezvous& r) {
    ++worker.counts.shuffles;
    for (int l = 0; l < w.size; ++l) {
      if (!(r.arrived >> l & 1)) continue;
      Shuffle& me = *static_cast<Shuffle*>(r.payload[l]);
      const int first = l & ~(me.width - 1), last = first + me.width - 1;
      int src = me.kind == Shfl::idx    ? first + (me.arg & (me.width - 1))
                : me.kind == Shfl::up   ? l - me.arg
                : me.kind == Shfl::down ? l + me.arg
                                        : l ^ me.arg;
      if (src < first || src > last) src = l;
      me.out = r.arrived >> src & 1 ? static_cast<Shuffle*>(r.payload[src])->in : ~0ull;  // inactive source: poison
    }
  });
  return s.out;
}

uint32_t warp_vote(Vote kind, unsigned mask, int pred, Loc loc) {
  Quiet quiet;
  Ballot b{pred, 0};
  worker().meet(mask, "__vote_sync", false, &b, loc, [](Worker&, Warp& w, Rendezvous& r) {
    uint32_t bits = 0;
    for (int l = 0; l < w.size; ++l)
      if ((r.arrived >> l & 1) && static_cast<Ballot*>(r.payload[l])->pred) bits |= 1u << l;
    for (int l = 0; l < w.size; ++l)
      if (r.arrived >> l & 1) static_cast<Ballot*>(r.payload[l])->ballot = bits;
  });
  return kind == Vote::any ? b.ballot != 0 : kind == Vote::all ? b.ballot == mask : b.ballot;
}

void warp_sync(unsigned mask, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Warp& warp = *w.self->warp;
  void* tag = &warp.sync_tag[warp.generation & 1];
  tsan_release(tag);
  w.meet(mask, "__syncwarp", false, nullptr, loc, [](Worker&, Warp& me, Rendezvous&) { ++me.generation; });
  tsan_acquire(tag);
}

// ------------------------------------------------------------------ launch
void launch_blocks(std::string_view pretty, dim3 grid, dim3 block, size_t smem, const std::function<void()>& body) {
  // "... launch(...) [with auto Kernel = NAME; Args = ...]"
  std::string name(pretty);
  if (auto at = name.find("Kernel = "); at != name.npos) {
    name = name.substr(at + 9);
    name = name.substr(0, name.find("; Args"));
  }
  const uint64_t threads = uint64_t(block.x) * block.y * block.z, blocks = uint64_t(grid.x) * grid.y * grid.z;
  if (threads == 0 || threads > 1024 || blocks == 0 || grid.y > 65535 || grid.z > 65535)
    throw Error("launch of " + name + ": bad grid or block size");
  if (smem > Worker::dynamic_limit) throw Error("launch of " + name + ": too much dynamic shared memory");

  const Config& c = config();
  std::vector<uint32_t> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  if (c.order == Order::reverse) std::reverse(order.begin(), order.end());
  if (c.order == Order::random) {
    Random r(c.seed);
    for (size_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[r.below(uint32_t(i))]);
  }

  static std::mutex mutex;
  static std::vector<std::unique_ptr<Worker>> pool;
  auto take = [&] {
    std::scoped_lock lock(mutex);
    if (pool.empty()) return std::make_unique<Worker>();
    auto w = std::move(pool.back());
    pool.pop_back();
    return w;
  };
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::exception_ptr error;
  auto run = [&] {
    static thread_local bool installed = (install_crash_report(), true);
    (void)installed;
    auto w = take();
    for (size_t i; !stop && (i = next++) < blocks;) {
      uint32_t b = order[i];
      uint3 index{b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
      try {
        w->run_block(name, grid, block, index, smem, c.seed * 0x100000001B3ull + b, body);
      } catch (...) {
        std::scoped_lock lock(mutex);
        if (!error) error = std::current_exception();
        stop = true;
      }
    }
    std::scoped_lock lock(mutex);
    auto* sum = reinterpret_cast<uint64_t*>(&stats());
    auto* mine = reinterpret_cast<uint64_t*>(&w->counts);
    for (size_t i = 0; i < sizeof(Stats) / sizeof(uint64_t); ++i) sum[i] += std::exchange(mine[i], 0);
    pool.push_back(std::move(w));
  };
  std::vector<std::jthread> extra;
  for (size_t i = 1; i < std::min<size_t>(size_t(c.workers), blocks); ++i) extra.emplace_back(run);
  run();
  extra.clear();
  tsan_acquire(&launch_end);
  if (error) std::rethrow_exception(error);
}
}  // namespace kagami::emulator
