#pragma once
// The memory of one device: a caching allocator. Freed blocks are kept and reused, so a steady state allocates nothing.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace kagami {

/// What a block is for; `kagami pretrain` prints bytes by these.
enum class MemoryUse : std::uint8_t { activations, parameters, optimizer, data, scratch };
constexpr int memory_uses = 5;
const char* name_of(MemoryUse use);

struct MemoryStats {
  std::size_t live = 0;       ///< bytes handed out now
  std::size_t peak = 0;       ///< most bytes ever handed out at once
  std::size_t reserved = 0;   ///< bytes taken from the system, live or cached
  std::size_t set_aside = 0;  ///< bytes of regions that are not handed out now
  std::size_t live_by_use[memory_uses] = {};
  std::size_t peak_by_use[memory_uses] = {};
  std::uint64_t system_allocations = 0;  ///< calls that had to ask the system
};

/// Where an arena takes its memory from: `allocate` returns null when there is no more. `what_happens` (or nothing)
/// says in messages whose memory it is and what is being computed.
struct MemorySource {
  std::function<void*(std::size_t bytes)> allocate;
  std::function<void(void* block)> release;
  std::function<std::string()> what_happens = {};
};
/// The host's memory. Blocks are aligned to 64 bytes (2 MiB and huge pages from 2 MiB on).
MemorySource host_memory();

struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Thread-safe.
class Arena {
 public:
  explicit Arena(MemorySource source = host_memory());
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Throws OutOfMemory naming the bytes wanted, what for, and what is live when the system has no more.
  void* allocate(std::size_t bytes, MemoryUse use);
  void release(void* block) noexcept;
  MemoryStats stats() const;
  void reset_peak();
  /// Gives cached blocks back to the system.
  void trim();

 private:
  friend class ArenaRegion;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Memory that an arena sets aside for work that is done again and again: what such work frees, only such work gets.
/// Sizes are matched exactly, so work that allocates the same sizes in the same order adds nothing after its second
/// time.
class ArenaRegion {
 public:
  explicit ArenaRegion(Arena& arena);
  ~ArenaRegion();  ///< what is not handed out goes to the arena
  ArenaRegion(const ArenaRegion&) = delete;
  ArenaRegion& operator=(const ArenaRegion&) = delete;

  enum class Growth : std::uint8_t { allowed, refused };
  /// While one lives, what its thread allocates from the arena is the region's. With growth refused, an allocation that
  /// the region has no block for throws std::logic_error.
  class Scope {
   public:
    Scope(ArenaRegion& region, Growth growth);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    ArenaRegion* region_before_;
    Growth growth_before_;
  };

 private:
  friend class Arena;
  static thread_local ArenaRegion* current_;
  static thread_local Growth growth_;
  Arena& arena_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;  // by size; guarded by the arena
};

/// Scratch memory for the length of a scope: `Scratch<float> packed(device.memory, n);`. Uninitialised.
template <class T>
class Scratch {
 public:
  Scratch(Arena* arena, std::size_t count)
      : arena_(arena), data_(static_cast<T*>(arena->allocate(count * sizeof(T), MemoryUse::scratch))), size_(count) {}
  ~Scratch() { arena_->release(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) const { return data_[i]; }

 private:
  Arena* arena_;
  T* data_;
  std::size_t size_;
};

}  // namespace kagami
