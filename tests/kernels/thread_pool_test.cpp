#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace kagami::cpu {
namespace {

ThreadPool& pool() { return ThreadPool::shared(); }

TEST(ThreadPool, EveryWorkerIsCalledOnceWhateverTheTeam) {
  for (int turn = 0; turn < 3000; ++turn) {
    const int team = 1 + turn * 7 % 9;
    std::vector<std::atomic<int>> calls(9);
    ASSERT_TRUE(pool().run(team, [&](int worker) { ++calls[static_cast<std::size_t>(worker)]; }));
    for (int worker = 0; worker < 9; ++worker)
      ASSERT_EQ(calls[static_cast<std::size_t>(worker)], worker < team ? 1 : 0) << "turn " << turn;
  }
}

TEST(ThreadPool, ThreadsThatSleepWakeUp) {
  for (int turn = 0; turn < 20; ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> calls = 0;
    ASSERT_TRUE(pool().run(4, [&](int worker) {
      if (worker == 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the others wait for it
      ++calls;
    }));
    ASSERT_EQ(calls, 4);
  }
}

TEST(ThreadPool, IsOneCallersAtATime) {
  EXPECT_TRUE(pool().run(2, [](int) { EXPECT_FALSE(pool().run(2, [](int) { FAIL(); })); }));
  std::atomic<int> refused = 0, ran = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int turn = 0; turn < 200; ++turn) refused += !pool().run(3, [&](int) { ++ran; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(ran, 3 * (4 * 200 - refused));
}

}  // namespace
}  // namespace kagami::cpu
