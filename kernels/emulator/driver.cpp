// kernels/cuda/runtime.h for the emulated device.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "kernels/cuda/runtime.h"
#include "kernels/emulator/streams.h"

namespace kagami::cuda {
namespace {

using namespace emulator::detail;
using Hold = std::scoped_lock<std::recursive_mutex>;

struct Block {
  std::size_t bytes;
  bool pinned;
  std::shared_ptr<const void> lives = std::make_shared<char>();  ///< for copies that run when it is gone
};
struct Blocks {
  std::map<const char*, Block> by_address;  ///< device and pinned memory
  std::size_t on_device = 0;
};
Blocks& blocks() {
  static Blocks& lives_until_exit = *new Blocks;
  return lives_until_exit;
}

/// What the address lies in; null for memory that is neither the device's nor pinned.
const Block* block_of(const void* memory) {
  const auto& all = blocks().by_address;
  const auto* address = static_cast<const char*>(memory);
  const auto after = all.upper_bound(address);
  if (after == all.begin()) return nullptr;
  const auto& [first, block] = *std::prev(after);
  return address < first + block.bytes ? &block : nullptr;
}

std::size_t content_hash(const void* memory, std::size_t bytes) {
  return std::hash<std::string_view>{}({static_cast<const char*>(memory), bytes});
}

/// A copy between memory of the device and pinned memory, which the host must leave alone until the copy has run.
std::function<void()> copy_later(void* to, const Block& target, const void* from, const Block& source,
                                 std::size_t bytes, bool recorded) {
  std::optional<std::size_t> content;
  if (source.pinned && !recorded) content = content_hash(from, bytes);
  return [=, to_lives = std::weak_ptr(target.lives), from_lives = std::weak_ptr(source.lives)] {
    const auto refuse = [&](const char* what) {
      throw emulator::Error("a copy of " + std::to_string(bytes) + " bytes ran after its " + what +
                            "; wait for an event behind the copy first");
    };
    if (from_lives.expired()) refuse("source had been released");
    if (to_lives.expired()) refuse("target had been released");
    if (content && *content != content_hash(from, bytes)) refuse("pinned source had been written anew");
    std::memcpy(to, from, bytes);
  };
}

/// How much of a block is poisoned while the device does not work: done for every launch, the whole would take too
/// long.
std::size_t guarded_bytes(std::size_t bytes) { return std::min(bytes, std::size_t{1} << 20); }

void* allocate_block(std::size_t bytes, bool pinned) {
  const Hold hold(machine().guard);
  machine().refuse_in_capture(pinned ? "an allocation of pinned memory" : "an allocation");
  if (!pinned && blocks().on_device + bytes > emulator::config().memory) return nullptr;
  void* memory = nullptr;
  // Not rounded up: AddressSanitizer sees an access to the first byte behind.
  if (posix_memalign(&memory, 256, bytes) != 0) return nullptr;
  std::memset(memory, 0xff, bytes);
  blocks().by_address[static_cast<char*>(memory)] = {bytes, pinned};
  if (!pinned) {
    blocks().on_device += bytes;
    if (DeviceWork::depth == 0) poison(memory, guarded_bytes(bytes));
  }
  return memory;
}

void release_block(void* memory) {
  if (!memory) return;
  const Hold hold(machine().guard);
  auto& all = blocks();
  const auto block = all.by_address.find(static_cast<char*>(memory));
  if (block == all.by_address.end()) throw std::runtime_error("release: not the address of a block");
  if (!block->second.pinned) {
    machine().drain_all();  // as cudaFree does; of cudaFreeHost nothing of the kind is promised
    all.on_device -= block->second.bytes;
    unpoison(memory, block->second.bytes);
  }
  std::memset(memory, 0xff, block->second.bytes);
  all.by_address.erase(block);
  std::free(memory);
}

}  // namespace

int device_count(std::string*) { return emulator::config().devices; }

void make_current(int device) { current_device = device; }

DeviceProperties properties(int) {
  const int arch = emulator::config().arch;
  return {"emulated sm_" + std::to_string(arch), arch / 10, arch % 10, 7, emulator::config().memory,
          emulator::shared_limit(arch),          true};
}

void check(int status, const char* what) {
  if (status != 0) throw std::runtime_error(std::string(what) + ": error " + std::to_string(status));
}

void* allocate(int device, std::size_t bytes) {
  make_current(device);
  return allocate_block(bytes, false);
}
void release(int, void* memory) { release_block(memory); }
void* allocate_pinned(std::size_t bytes) { return allocate_block(bytes, true); }
void release_pinned(void* memory) { release_block(memory); }

CUstream_st* create_stream(int device) {
  const Hold hold(machine().guard);
  make_current(device);
  auto* stream = new CUstream_st;
  stream->device = device;
  machine().add(stream);
  return stream;
}
void destroy_stream(CUstream_st* stream) {
  if (!stream) return;
  const Hold hold(machine().guard);
  machine().remove(stream);
  delete stream;
}
void synchronize(CUstream_st* stream) {
  const Hold hold(machine().guard);
  machine().refuse_in_capture("the host's wait for the stream", stream);
  machine().drain(stream);
}

void copy(void* to, const void* from, std::size_t bytes, CUstream_st* stream) {
  if (bytes == 0) return;
  const Hold hold(machine().guard);
  const Block *target = block_of(to), *source = block_of(from);
  if (target && source) {
    const bool recorded = stream->capture != nullptr;
    machine().queue(stream, Kind::copy, copy_later(to, *target, from, *source, bytes, recorded));
    return;
  }
  machine().refuse_in_capture("a copy from or to memory that is neither the device's nor pinned", stream);
  machine().queue(stream, Kind::copy, [=] { std::memcpy(to, from, bytes); });
  machine().drain(stream);
}
void fill_bytes(void* to, int value, std::size_t bytes, CUstream_st* stream) {
  if (bytes == 0) return;
  const Hold hold(machine().guard);
  machine().queue(stream, Kind::copy, [=] { std::memset(to, value, bytes); });
}

CUevent_st* create_event() { return new CUevent_st; }
void destroy_event(CUevent_st* event) {
  const Hold hold(machine().guard);
  delete event;
}
void record(CUevent_st* event, CUstream_st* stream) {
  const Hold hold(machine().guard);
  machine().record(event, stream);
}
void wait(CUstream_st* stream, CUevent_st* event) {
  const Hold hold(machine().guard);
  machine().wait(stream, event);
}
void synchronize(CUevent_st* event) {
  const Hold hold(machine().guard);
  if (event->captured) machine().refuse_in_capture("the host's wait for an event");
  if (!event->last) return;
  machine().drain_until(*event->last);
  machine().throw_kept_error();
}
void settle(CUevent_st* event) noexcept {
  const Hold hold(machine().guard);
  if (event->last) machine().settle(*event->last);
}
float elapsed(CUevent_st* first, CUevent_st* last) {
  const Hold hold(machine().guard);
  if (!first->last || !last->last || !first->last->done || !last->last->done)
    throw std::runtime_error("elapsed: an event has not happened; wait for it first");
  return std::chrono::duration<float, std::milli>(last->last->when - first->last->when).count();
}

void begin_capture(CUstream_st* stream) {
  const Hold hold(machine().guard);
  machine().begin_capture(stream);
}
CUgraphExec_st* end_capture(CUstream_st* stream, int* kernels) {
  const Hold hold(machine().guard);
  std::shared_ptr<const Graph> graph = machine().end_capture(stream);
  if (kernels) *kernels = graph->kernels;
  return new CUgraphExec_st{std::move(graph)};
}
bool capturing(CUstream_st* stream) {
  const Hold hold(machine().guard);
  return stream->capture != nullptr;
}
void replay(CUgraphExec_st* graph, CUstream_st* stream) {
  const Hold hold(machine().guard);
  machine().refuse_in_capture("the replay of a graph", stream);
  machine().queue(stream, Kind::kernel, [recorded = graph->graph] { machine().run(*recorded); });
}
void destroy_graph(CUgraphExec_st* graph) {
  const Hold hold(machine().guard);
  delete graph;
}

}  // namespace kagami::cuda

namespace kagami::emulator {

void check_address(std::string_view pretty, int argument, const void* address) {
  const cuda::Hold hold(detail::machine().guard);
  if (address && !cuda::block_of(address))
    throw Error("launch of " + detail::kernel_name(pretty) + ": argument " + std::to_string(argument) +
                " is an address of the host's, which is neither of the device nor pinned");
}

namespace detail {

namespace {
template <class F>
void for_guarded(F&& f) {
  for (const auto& [address, block] : cuda::blocks().by_address)
    if (!block.pinned) f(const_cast<char*>(address), cuda::guarded_bytes(block.bytes));
}
}  // namespace

DeviceWork::DeviceWork() {
  if (depth++ == 0) for_guarded(unpoison);
}
DeviceWork::~DeviceWork() {
  if (--depth == 0) for_guarded(poison);
}

}  // namespace detail
}  // namespace kagami::emulator
