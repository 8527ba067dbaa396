#pragma once
// The threads behind parallel_for(). Between two pieces of work a thread looks for more for some microseconds, then
// sleeps: the next loop of a step usually finds it awake, and a machine that others use loses nothing to the wait.
#include <atomic>
#include <cstdint>
#include <functional>

namespace kagami::cpu {

class ThreadPool {
 public:
  /// The process' pool. It starts threads when they are first needed, and lives until exit.
  static ThreadPool& shared();

  /// Calls f(0) on this thread and f(1) ... f(team - 1) on others (fewer, where the system has no more threads), and
  /// returns when all have returned. f does not throw. False, and nothing is called, where the pool is at work already,
  /// for another thread or for this one.
  bool run(int team, const std::function<void(int worker)>& f);

 private:
  ThreadPool() = default;
  void work(int worker);
  void start_threads(int count);

  static constexpr int team_bits = 12;
  static constexpr std::uint32_t team_mask = (1U << team_bits) - 1;

  std::atomic<bool> busy_ = false;
  std::atomic<std::uint32_t> turn_ = 0;     ///< number of the run, and in its low bits the team that takes part
  std::atomic<std::uint32_t> running_ = 0;  ///< threads of the team that have not returned
  const std::function<void(int)>* function_ = nullptr;
  int threads_ = 0;
};

}  // namespace kagami::cpu
