#include "kernels/cpu/parallel.h"

#include <omp.h>
#include <sched.h>

#include <atomic>
#include <exception>
#include <mutex>

namespace kagami::cpu {
namespace {

int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, omp_get_num_procs());
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
  const int team = static_cast<int>(std::min<std::int64_t>(threads(), pieces));
  if (team <= 1 || omp_in_parallel()) {
    for (std::int64_t i = 0; i < pieces; ++i) piece(i, 0);
  } else {
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
    for (std::int64_t i = 0; i < pieces; ++i) piece(i, omp_get_thread_num());
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace detail
}  // namespace kagami::cpu
