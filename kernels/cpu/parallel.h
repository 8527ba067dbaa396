#pragma once
// Threads of the CPU back end. Work is cut by shape alone, never by the number of threads, wherever the cut could
// change an order of summation: results are the same bits with any number of threads.
#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace kagami::cpu {

/// Number of threads the kernels use; 0 sets it back to the number of processors this process may use.
void set_threads(int count);
int threads();

namespace detail {
using RangeFunction = void (*)(void* context, std::int64_t first, std::int64_t last, int worker);
void run_ranges(std::int64_t count, std::int64_t grain, RangeFunction function, void* context);
}  // namespace detail

/// Calls f(first, last) for the pieces [0, grain), [grain, 2 grain), ... of [0, count), on all threads, in any order.
/// Pieces depend on `count` and `grain` only. The first exception thrown by a piece is rethrown here.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  if (count <= grain) {
    f(std::int64_t{0}, count);
    return;
  }
  detail::run_ranges(
      count, grain,
      [](void* context, std::int64_t first, std::int64_t last, int) {
        (*static_cast<std::remove_reference_t<F>*>(context))(first, last);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

/// Calls f(item, worker) for every item of [0, count), on all threads, in any order. At one time no two calls have the
/// same worker, a number in [0, threads()): it says which part of a scratch block is the caller's own.
template <class F>
void parallel_items(std::int64_t count, F&& f) {
  detail::run_ranges(
      count, 1,
      [](void* context, std::int64_t item, std::int64_t, int worker) {
        (*static_cast<std::remove_reference_t<F>*>(context))(item, worker);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace kagami::cpu
