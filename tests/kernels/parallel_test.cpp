#include "kernels/cpu/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace kagami::cpu {
namespace {

TEST(Parallel, CoversEveryIndexOnceWithAnyNumberOfThreads) {
  for (const int count : {1, 2, 7}) {
    set_threads(count);
    std::vector<std::atomic<int>> visits(1003);
    parallel_for(1003, 10, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) ++visits[i];
    });
    for (const auto& v : visits) ASSERT_EQ(v, 1);
  }
  set_threads(0);
}

TEST(Parallel, RethrowsTheExceptionOfAPiece) {
  EXPECT_THROW(parallel_for(100, 1,
                            [](std::int64_t first, std::int64_t) {
                              if (first == 50) throw std::runtime_error("piece 50");
                            }),
               std::runtime_error);
}

TEST(Parallel, EmptyRangeCallsNothing) {
  parallel_for(0, 1, [](std::int64_t, std::int64_t) { FAIL(); });
}

}  // namespace
}  // namespace kagami::cpu
