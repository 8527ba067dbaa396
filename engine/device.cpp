#include "engine/device.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "engine/work.h"
#if KAGAMI_HAS_CUDA
#include "kernels/cuda/runtime.h"
#endif

namespace kagami {

// A device lives as long as the process: tensors in static storage may outlive main.
struct Device::State {
  explicit State() = default;
  State(int n, MemorySource source) : number(n), memory(std::move(source)) {}
  int number = -1;  // of a CUDA device
  mutable Arena memory;
#if KAGAMI_HAS_CUDA
  CUstream_st *stream = nullptr, *feed = nullptr;
  cuda::DeviceProperties properties;
  IndexFault* fault = nullptr;  // pinned: kernels write it, the host reads it after it has waited
  mutable std::mutex guard;     // of the sites
  mutable std::vector<std::pair<std::string, std::string>> sites;  // number 1 is the first
#endif
};

Device Device::cpu() {
  static const State* state = new State;
  Device device;
  device.state_ = state;
  return device;
}

bool Device::is_cpu() const { return state_->number < 0; }
Cpu Device::as_cpu() const { return Cpu{&state_->memory}; }
Arena& Device::memory() const { return state_->memory; }

std::ostream& operator<<(std::ostream& out, const Device& device) {
  return device.is_cpu() ? out << "cpu" : out << "cuda:" << device.state_->number;
}

#if KAGAMI_HAS_CUDA

int Device::cuda_count(std::string* why_none) { return cuda::device_count(why_none); }

Device Device::cuda(int number) {
  static std::mutex guard;
  static auto& states = *new std::vector<const State*>;  // lives until exit, as what it points to
  const std::lock_guard lock(guard);
  std::string why = "there is none";
  const int count = cuda::device_count(&why);
  check(number >= 0 && number < count, "cuda:", number, ": no such device",
        count == 0 ? "; " + why : text(", there are ", count));
  if (states.size() < static_cast<std::size_t>(count)) states.resize(static_cast<std::size_t>(count));
  const State*& state = states[static_cast<std::size_t>(number)];
  if (!state) {
    auto* made = new State(number, {[number](std::size_t bytes) { return cuda::allocate(number, bytes); },
                                    [number](void* block) { cuda::release(number, block); },
                                    [number] { return text("cuda:", number, ", ", current_work()); }});
    made->stream = cuda::create_stream(number);
    made->feed = cuda::create_stream(number);
    made->properties = cuda::properties(number);
    made->fault = new (cuda::allocate_pinned(sizeof(IndexFault))) IndexFault{};
    state = made;
  }
  Device device;
  device.state_ = state;
  return device;
}

bool Device::emulated() const { return state_->properties.emulated; }
std::size_t Device::memory_bytes() const { return cuda::properties(state_->number).memory; }
Cuda Device::as_cuda() const {
  cuda::make_current(state_->number);
  return {&state_->memory, state_->stream, state_->properties.multiprocessors};
}

CUstream_st* Device::feed_stream() const { return state_->feed; }

void Device::refuse_in_recording(const char* what) const {
  if (is_cpu() || !cuda::capturing(state_->stream)) return;
  throw std::runtime_error(text(*this, ", ", current_work(), ": ", what,
                                " cannot be part of a recorded step; move it out of the step, or do it on the device"));
}

void Device::copy_in(void* to, const void* host, std::size_t bytes) const {
  if (bytes == 0) return;
  if (is_cpu()) {
    std::memcpy(to, host, bytes);
    return;
  }
  refuse_in_recording("a copy of host memory to the device");
  cuda::copy(to, host, bytes, state_->stream);
  cuda::synchronize(state_->stream);
}

void Device::copy_out(void* host, const void* from, std::size_t bytes) const {
  if (bytes == 0) return;
  if (is_cpu()) {
    std::memcpy(host, from, bytes);
    return;
  }
  refuse_in_recording("a read of the device's memory on the host");
  cuda::copy(host, from, bytes, state_->stream);
  synchronize();
}

void Device::copy_within(void* to, const void* from, std::size_t bytes) const {
  if (bytes == 0) return;
  if (is_cpu()) {
    std::memcpy(to, from, bytes);
    return;
  }
  cuda::copy(to, from, bytes, state_->stream);
}

void Device::clear(void* to, std::size_t bytes) const {
  if (bytes == 0) return;
  if (is_cpu()) {
    std::memset(to, 0, bytes);
    return;
  }
  cuda::fill_bytes(to, 0, bytes, as_cuda().stream);
}

void Device::synchronize() const {
  if (is_cpu()) return;
  refuse_in_recording("a wait for the device");
  cuda::synchronize(state_->stream);
  report_index_fault();
}

IndexFault* Device::index_fault() const { return state_->fault; }

std::uint32_t Device::fault_site(const std::string& before, const std::string& after) const {
  const std::lock_guard lock(state_->guard);
  auto& sites = state_->sites;
  const auto found = std::find(sites.begin(), sites.end(), std::pair(before, after));
  const auto number = static_cast<std::uint32_t>(found - sites.begin()) + 1;
  if (found == sites.end()) sites.emplace_back(before, after);
  return number;
}

void Device::report_index_fault() const {
  if (is_cpu() || state_->fault->site == 0) return;
  const IndexFault fault = std::exchange(*state_->fault, IndexFault{});
  const std::lock_guard lock(state_->guard);
  const auto& [before, after] = state_->sites.at(fault.site - 1);
  check(fault.position >= 0, before, after);
  check(false, before, '[', fault.position, "] = ", fault.value, after);
}

#else

int Device::cuda_count(std::string* why_none) {
  if (why_none) *why_none = "this program was built without CUDA";
  return 0;
}

Device Device::cuda(int number) {
  check(false, "cuda:", number, ": no such device; this program was built without CUDA");
  return cpu();
}

bool Device::emulated() const { return false; }
std::size_t Device::memory_bytes() const { return 0; }
void Device::copy_in(void* to, const void* host, std::size_t bytes) const {
  if (bytes > 0) std::memcpy(to, host, bytes);
}
void Device::copy_out(void* host, const void* from, std::size_t bytes) const { copy_in(host, from, bytes); }
void Device::copy_within(void* to, const void* from, std::size_t bytes) const { copy_in(to, from, bytes); }
void Device::clear(void* to, std::size_t bytes) const {
  if (bytes > 0) std::memset(to, 0, bytes);
}
void Device::synchronize() const {}
void Device::refuse_in_recording(const char*) const {}
IndexFault* Device::index_fault() const { return nullptr; }
std::uint32_t Device::fault_site(const std::string&, const std::string&) const { return 0; }
void Device::report_index_fault() const {}

#endif

}  // namespace kagami
