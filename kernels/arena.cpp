#include "kernels/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <sstream>

namespace kagami {
namespace {

constexpr std::size_t huge = std::size_t{2} << 20;

/// Sizes are rounded up, so that blocks of almost one size can stand in for each other: to 64 bytes below 4 KiB, to an
/// eighth of a power of two above.
std::size_t rounded(std::size_t bytes) {
  if (bytes <= 4096) return std::max<std::size_t>(64, (bytes + 63) / 64 * 64);
  const std::size_t step = std::max<std::size_t>(64, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

}  // namespace

const char* name_of(MemoryUse use) {
  switch (use) {
    case MemoryUse::activations:
      return "activations";
    case MemoryUse::parameters:
      return "parameters";
    case MemoryUse::optimizer:
      return "optimizer";
    case MemoryUse::data:
      return "data";
    case MemoryUse::scratch:
      return "scratch";
  }
  return "unknown";
}

struct Arena::Impl {
  struct Block {
    std::size_t bytes;
    MemoryUse use;
    ArenaRegion* region;  // that it goes back to, if any
  };
  MemorySource source;
  mutable std::mutex guard;
  std::map<std::size_t, std::vector<void*>> cached;  // by size
  std::unordered_map<void*, Block> live;
  MemoryStats stats;

  void free_cached() {
    for (auto& [bytes, blocks] : cached)
      for (void* block : blocks) {
        source.release(block);
        stats.reserved -= bytes;
      }
    cached.clear();
  }

  /// A free block of `bytes`, or of up to `slack` more: `bytes` becomes its size.
  void* from_cache(std::size_t& bytes, std::size_t slack) {
    const auto it = cached.lower_bound(bytes);
    if (it == cached.end() || it->first > bytes + slack) return nullptr;
    void* block = it->second.back();
    it->second.pop_back();
    bytes = it->first;
    if (it->second.empty()) cached.erase(it);
    return block;
  }

  void* from_region(ArenaRegion& region, std::size_t bytes, MemoryUse use, ArenaRegion::Growth growth) {
    std::vector<void*>& free = region.free_[bytes];
    if (!free.empty()) {
      void* block = free.back();
      free.pop_back();
      stats.set_aside -= bytes;
      return block;
    }
    if (growth == ArenaRegion::Growth::refused)
      throw std::logic_error(of_whom() + "an allocation of " + std::to_string(bytes) +
                             " bytes that the runs before did not make");
    void* block = from_cache(bytes, 0);
    return block ? block : from_system(bytes, use);
  }

  /// "cuda:0, in op x: ", for messages.
  std::string of_whom() const { return source.what_happens ? source.what_happens() + ": " : std::string(); }

  void* from_system(std::size_t bytes, MemoryUse use) {
    void* block = source.allocate(bytes);
    if (!block) {
      free_cached();
      block = source.allocate(bytes);
    }
    if (!block) throw OutOfMemory(no_more(bytes, use));
    stats.reserved += bytes;
    ++stats.system_allocations;
    return block;
  }

  std::string no_more(std::size_t bytes, MemoryUse use) const {
    std::ostringstream message;
    message << of_whom() << "out of memory: " << bytes << " bytes of " << name_of(use) << " wanted while " << stats.live
            << " are in use (";
    for (int i = 0; i < memory_uses; ++i)
      message << (i ? ", " : "") << name_of(static_cast<MemoryUse>(i)) << ' ' << stats.live_by_use[i];
    message << ')';
    if (stats.set_aside > 0) message << " and " << stats.set_aside << " are set aside for the recorded step";
    message << "; smaller batches or images need less";
    return message.str();
  }
};

MemorySource host_memory() {
  const auto allocate = [](std::size_t bytes) {
    const std::size_t alignment = bytes >= huge ? huge : 64;
    const std::size_t size = (bytes + alignment - 1) / alignment * alignment;
    void* block = std::aligned_alloc(alignment, size);
    if (block && bytes >= huge) madvise(block, size, MADV_HUGEPAGE);
    return block;
  };
  return {allocate, [](void* block) { std::free(block); }, {}};
}

Arena::Arena(MemorySource source) : impl_(std::make_unique<Impl>()) { impl_->source = std::move(source); }

Arena::~Arena() { impl_->free_cached(); }

void* Arena::allocate(std::size_t bytes, MemoryUse use) {
  std::size_t size = rounded(bytes);
  const std::lock_guard lock(impl_->guard);
  ArenaRegion* region = ArenaRegion::current_;
  if (region && &region->arena_ != this) region = nullptr;
  void* block =
      region ? impl_->from_region(*region, size, use, ArenaRegion::growth_) : impl_->from_cache(size, size / 4);
  if (!block) block = impl_->from_system(size, use);
  impl_->live.emplace(block, Impl::Block{size, use, region});
  MemoryStats& stats = impl_->stats;
  stats.live += size;
  stats.peak = std::max(stats.peak, stats.live);
  auto& by_use = stats.live_by_use[static_cast<int>(use)];
  by_use += size;
  auto& peak_by_use = stats.peak_by_use[static_cast<int>(use)];
  peak_by_use = std::max(peak_by_use, by_use);
  return block;
}

void Arena::release(void* block) noexcept {
  if (!block) return;
  const std::lock_guard lock(impl_->guard);
  const auto it = impl_->live.find(block);
  if (it == impl_->live.end()) return;
  const Impl::Block record = it->second;
  impl_->live.erase(it);
  impl_->stats.live -= record.bytes;
  impl_->stats.live_by_use[static_cast<int>(record.use)] -= record.bytes;
  if (record.region) {
    record.region->free_[record.bytes].push_back(block);
    impl_->stats.set_aside += record.bytes;
  } else {
    impl_->cached[record.bytes].push_back(block);
  }
}

MemoryStats Arena::stats() const {
  const std::lock_guard lock(impl_->guard);
  return impl_->stats;
}

void Arena::reset_peak() {
  const std::lock_guard lock(impl_->guard);
  impl_->stats.peak = impl_->stats.live;
  for (int i = 0; i < memory_uses; ++i) impl_->stats.peak_by_use[i] = impl_->stats.live_by_use[i];
}

void Arena::trim() {
  const std::lock_guard lock(impl_->guard);
  impl_->free_cached();
}

thread_local ArenaRegion* ArenaRegion::current_ = nullptr;
thread_local ArenaRegion::Growth ArenaRegion::growth_ = ArenaRegion::Growth::allowed;

ArenaRegion::ArenaRegion(Arena& arena) : arena_(arena) {}

ArenaRegion::~ArenaRegion() {
  Arena::Impl& arena = *arena_.impl_;
  const std::lock_guard lock(arena.guard);
  for (auto& [block, record] : arena.live)
    if (record.region == this) record.region = nullptr;
  for (auto& [bytes, blocks] : free_) {
    arena.stats.set_aside -= bytes * blocks.size();
    auto& cached = arena.cached[bytes];
    cached.insert(cached.end(), blocks.begin(), blocks.end());
    if (cached.empty()) arena.cached.erase(bytes);
  }
}

ArenaRegion::Scope::Scope(ArenaRegion& region, Growth growth) : region_before_(current_), growth_before_(growth_) {
  current_ = &region;
  growth_ = growth;
}
ArenaRegion::Scope::~Scope() {
  current_ = region_before_;
  growth_ = growth_before_;
}

}  // namespace kagami
