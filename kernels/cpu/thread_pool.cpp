#include "kernels/cpu/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>

namespace kagami::cpu {
namespace {

constexpr std::chrono::microseconds patience{30};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns when `value` is no longer `old`, and what it is.
std::uint32_t changed(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto until = std::chrono::steady_clock::now() + patience;
  do {
    for (int i = 0; i < 32; ++i) {
      const std::uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool& ThreadPool::shared() {
  static ThreadPool& lives_until_exit = *new ThreadPool;
  return lives_until_exit;
}

void ThreadPool::start_threads(int count) {
  // Signals are for the threads of the program.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    for (; threads_ < count; ++threads_) std::thread([this, worker = threads_ + 1] { work(worker); }).detach();
  } catch (const std::system_error&) {  // the system gives no more: those that are there do the work
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ThreadPool::work(int worker) {
  for (std::uint32_t turn = 0;;) {
    // A run ends when its whole team has returned: a thread that takes part misses no turn, and one that does not take
    // part may.
    turn = changed(turn_, turn);
    if (worker >= static_cast<int>(turn & team_mask)) continue;
    (*function_)(worker);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

bool ThreadPool::run(int team, const std::function<void(int)>& f) {
  if (busy_.exchange(true, std::memory_order_acquire)) return false;
  team = std::min(team, static_cast<int>(team_mask));
  start_threads(team - 1);
  team = std::min(team, threads_ + 1);
  function_ = &f;
  running_.store(static_cast<std::uint32_t>(team - 1), std::memory_order_relaxed);
  const std::uint32_t turn = turn_.load(std::memory_order_relaxed);
  turn_.store(((turn >> team_bits) + 1) << team_bits | static_cast<std::uint32_t>(team), std::memory_order_release);
  turn_.notify_all();
  f(0);
  while (const std::uint32_t left = running_.load(std::memory_order_acquire)) changed(running_, left);
  busy_.store(false, std::memory_order_release);
  return true;
}

}  // namespace kagami::cpu
