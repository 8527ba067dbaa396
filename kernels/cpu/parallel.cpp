#include "kernels/cpu/parallel.h"

#include <sched.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "kernels/cpu/thread_pool.h"

namespace kagami::cpu {
namespace {

int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::atomic<int> thread_count{0};

}  // namespace

void set_threads(int count) { thread_count = count > 0 ? count : available_processors(); }

int threads() {
  if (thread_count == 0) set_threads(0);
  return thread_count;
}

namespace detail {

void run_ranges(std::int64_t count, std::int64_t grain, RangeFunction function, void* context) {
  const std::int64_t pieces = (count + grain - 1) / grain;
  std::exception_ptr error;
  std::mutex error_guard;
  auto piece = [&](std::int64_t i, int worker) {
    try {
      function(context, i * grain, std::min(count, (i + 1) * grain), worker);
    } catch (...) {
      const std::lock_guard lock(error_guard);
      if (!error) error = std::current_exception();
    }
  };
  std::atomic<std::int64_t> next = 0;
  const auto pieces_of = [&](int worker) {
    for (std::int64_t i = next++; i < pieces; i = next++) piece(i, worker);
  };
  const int team = static_cast<int>(std::min<std::int64_t>(threads(), pieces));
  if (team <= 1 || !ThreadPool::shared().run(team, pieces_of)) pieces_of(0);
  if (error) std::rethrow_exception(error);
}

}  // namespace detail
}  // namespace kagami::cpu
