// Tells the sanitizers what fibers do. Without KAGAMI_ASAN or KAGAMI_TSAN there is nobody to tell.
#include "kernels/emulator/fibers.h"

#if defined(KAGAMI_ASAN)
#include <sanitizer/asan_interface.h>
#endif
#if defined(KAGAMI_TSAN)  // the kernels are instrumented, the emulator is not
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

namespace kagami::emulator::detail {

char launch_begin, launch_end;

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

void touch([[maybe_unused]] const void* memory, [[maybe_unused]] size_t bytes, [[maybe_unused]] bool writes) {
#if defined(KAGAMI_ASAN)
  void* frame = __builtin_frame_address(0);
  if (void* bad = __asan_region_is_poisoned(const_cast<void*>(memory), bytes))
    __asan_report_error(__builtin_return_address(0), frame, frame, bad, writes, 1);
#endif
}

}  // namespace kagami::emulator::detail
