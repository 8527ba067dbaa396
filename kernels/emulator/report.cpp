// Error messages: places, threads, deadlocks, crashes.
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "kernels/emulator/fibers.h"

namespace kagami::emulator::detail {

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

namespace {
[[maybe_unused]] void report_crash(const char* what) {
  const Worker* w = current_worker;
  if (!w || !w->self) return;
  const std::string m = std::string("emulator: ") + what + " in thread " + to_string(w->self->tid) + w->where() + "\n";
  [[maybe_unused]] auto n = write(2, m.data(), m.size());
}
}  // namespace

#if defined(KAGAMI_ASAN)
extern "C" void __sanitizer_set_death_callback(void (*)());
void install_crash_report() {
  __sanitizer_set_death_callback([] { report_crash("the error above is"); });
}
#elif defined(KAGAMI_TSAN)
void install_crash_report() {}
#else
namespace {
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
}  // namespace
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

void Worker::require_arch(int arch, const char* what, Loc loc) {
  if (cfg.arch < arch)
    fail(std::string(what) + " needs sm_" + std::to_string(arch) + "; this runs as sm_" + std::to_string(cfg.arch),
         loc);
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

}  // namespace kagami::emulator::detail
