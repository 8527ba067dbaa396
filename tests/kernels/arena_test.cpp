#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "kernels/arena.h"

namespace kagami {
namespace {

using Growth = ArenaRegion::Growth;

void* take(Arena& arena, std::size_t bytes) { return arena.allocate(bytes, MemoryUse::activations); }

TEST(ArenaRegion, KeepsItsBlocksToItself) {
  Arena arena;
  ArenaRegion region(arena);
  std::set<void*> own;
  {
    const ArenaRegion::Scope scope(region, Growth::allowed);
    for (const std::size_t bytes : {100, 5000, 100}) own.insert(take(arena, bytes));
  }
  for (void* block : own) arena.release(block);
  EXPECT_EQ(arena.stats().live, 0U);
  EXPECT_EQ(arena.stats().set_aside, arena.stats().reserved);
  void* other = take(arena, 5000);
  EXPECT_FALSE(own.contains(other)) << "work outside got memory of the region";
  arena.trim();
  const ArenaRegion::Scope scope(region, Growth::refused);
  std::set<void*> again;
  for (const std::size_t bytes : {100, 5000, 100}) again.insert(take(arena, bytes));
  EXPECT_EQ(again, own);
  EXPECT_THROW(take(arena, 100), std::logic_error);
  for (void* block : again) arena.release(block);
  arena.release(other);
}

TEST(ArenaRegion, TakesWhatTheArenaHasFree) {
  Arena arena;
  void* block = take(arena, 1 << 20);
  arena.release(block);
  ArenaRegion region(arena);
  const ArenaRegion::Scope scope(region, Growth::allowed);
  EXPECT_EQ(take(arena, 1 << 20), block);
  arena.release(block);
}

TEST(ArenaRegion, IsOfOneArena) {
  Arena arena, other;
  ArenaRegion region(arena);
  const ArenaRegion::Scope scope(region, Growth::refused);
  void* block = take(other, 64);
  other.release(block);
  EXPECT_THROW(take(arena, 64), std::logic_error);
}

TEST(ArenaRegion, LeavesItsBlocksToTheArena) {
  Arena arena;
  void *kept = nullptr, *free = nullptr;
  {
    ArenaRegion region(arena);
    const ArenaRegion::Scope scope(region, Growth::allowed);
    kept = take(arena, 4096);
    free = take(arena, 1024);
    arena.release(free);
  }
  EXPECT_EQ(arena.stats().set_aside, 0U);
  EXPECT_EQ(take(arena, 1024), free);
  arena.release(kept);
  EXPECT_EQ(take(arena, 4096), kept);
  arena.release(free);
  arena.release(kept);
  arena.trim();
  EXPECT_EQ(arena.stats().reserved, 0U);
}

TEST(Arena, OutOfMemorySaysWhoWantsWhatAndWhoHasTheRest) {
  Arena arena({[](std::size_t bytes) { return bytes > 4096 ? nullptr : std::malloc(bytes); },
               [](void* block) { std::free(block); }, [] { return std::string("here, in a test"); }});
  void* data = arena.allocate(640, MemoryUse::data);
  try {
    arena.allocate(8192, MemoryUse::parameters);
    FAIL();
  } catch (const OutOfMemory& error) {
    EXPECT_STREQ(error.what(),
                 "here, in a test: out of memory: 8192 bytes of parameters wanted while 640 are in use (activations 0, "
                 "parameters 0, optimizer 0, data 640, scratch 0); smaller batches or images need less");
  }
  arena.release(data);
}

}  // namespace
}  // namespace kagami
