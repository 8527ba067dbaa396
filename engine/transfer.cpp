#include "engine/transfer.h"

#include <array>
#include <cstring>
#include <deque>

#if KAGAMI_HAS_CUDA
#include "kernels/cuda/runtime.h"
#endif

namespace kagami {
namespace {

#if KAGAMI_HAS_CUDA

struct ReleasePinned {
  void operator()(std::byte* memory) const { cuda::release_pinned(memory); }
};
/// Waits first: copies before the event use memory that goes with it, pinned, or of the device and then used anew at
/// once, in an order that knows nothing of the feed.
struct DestroyEvent {
  void operator()(CUevent_st* event) const {
    cuda::settle(event);
    cuda::destroy_event(event);
  }
};
using Pinned = std::unique_ptr<std::byte, ReleasePinned>;

/// A point in a stream; before it is recorded there is nothing to wait for. On the CPU nothing is ever late.
class Event {
 public:
  explicit Event(const Device& device) {
    if (device.is_cpu()) return;
    device.as_cuda();  // an event is the current device's
    event_.reset(cuda::create_event());
  }
  void record(CUstream_st* stream) { cuda::record(event_.get(), stream); }
  void hold_back(CUstream_st* stream) const { cuda::wait(stream, event_.get()); }
  void wait() const {
    if (event_) cuda::synchronize(event_.get());
  }

 private:
  std::unique_ptr<CUevent_st, DestroyEvent> event_;
};

/// Memory that copies go through: pinned for a CUDA device.
class HostMemory {
 public:
  HostMemory(const Device& device, std::size_t bytes) {
    if (device.is_cpu()) {
      plain_.resize(bytes);
    } else {
      pinned_.reset(static_cast<std::byte*>(cuda::allocate_pinned(bytes)));
      if (!pinned_) throw std::runtime_error(text("out of pinned host memory: ", bytes, " bytes wanted"));
    }
  }
  std::byte* data() { return pinned_ ? pinned_.get() : plain_.data(); }

 private:
  std::vector<std::byte> plain_;
  Pinned pinned_;
};

#else

class Event {
 public:
  explicit Event(const Device&) {}
  void wait() const {}
};

class HostMemory {
 public:
  HostMemory(const Device&, std::size_t bytes) : plain_(bytes) {}
  std::byte* data() { return plain_.data(); }

 private:
  std::vector<std::byte> plain_;
};

#endif

struct Slot {
  Slot(const Device& device, std::size_t bytes) : memory(device, bytes), arrived(device) {}
  HostMemory memory;
  Event arrived;
};

std::vector<Slot> slots_for(const Device& device, std::size_t bytes, int count) {
  std::vector<Slot> slots;
  for (int i = 0; i < count; ++i) slots.emplace_back(device, bytes);
  return slots;
}

/// Queues a copy on the device's stream, on the CPU makes it.
void queue_copy(const Device& device, void* to, const void* from, std::size_t bytes, Event& arrived) {
  if (device.is_cpu()) {
    std::memcpy(to, from, bytes);
    return;
  }
#if KAGAMI_HAS_CUDA
  device.refuse_in_recording("a transfer between host and device");
  CUstream_st* stream = device.as_cuda().stream;
  cuda::copy(to, from, bytes, stream);
  arrived.record(stream);
#else
  (void)arrived;
#endif
}

}  // namespace

struct UploadRing::Impl {
  Device device;
  std::vector<Slot> slots;
  std::size_t bytes, at = 0;
};

UploadRing::UploadRing(Device device, std::size_t bytes, int slots)
    : impl_(new Impl{device, slots_for(device, bytes, device.is_cpu() ? 1 : slots), bytes}) {}
UploadRing::~UploadRing() = default;
UploadRing::UploadRing(UploadRing&&) noexcept = default;
UploadRing& UploadRing::operator=(UploadRing&&) noexcept = default;

void* UploadRing::next() {
  impl_->at = (impl_->at + 1) % impl_->slots.size();
  Slot& slot = impl_->slots[impl_->at];
  slot.arrived.wait();
  return slot.memory.data();
}

void UploadRing::send(void* to, std::size_t bytes) {
  check(bytes <= impl_->bytes, "upload: ", bytes, " bytes do not fit slots of ", impl_->bytes);
  Slot& slot = impl_->slots[impl_->at];
  queue_copy(impl_->device, to, slot.memory.data(), bytes, slot.arrived);
}

struct Readback::Impl {
  struct Asked {
    std::size_t slot;
    DType dtype;
  };
  Device device;
  std::vector<Slot> slots;
  std::deque<Asked> asked = {};
  std::size_t next = 0;
};

Readback::Readback(Device device, int slots) : impl_(new Impl{device, slots_for(device, sizeof(double), slots)}) {}
Readback::~Readback() = default;
Readback::Readback(Readback&&) noexcept = default;
Readback& Readback::operator=(Readback&&) noexcept = default;

int Readback::pending() const { return static_cast<int>(impl_->asked.size()); }

void Readback::request(const Tensor& number) {
  check(number && number.numel() == 1 && (number.dtype() == DType::f32 || number.dtype() == DType::f64),
        "readback: needs one number in f32 or f64, not ", describe(number));
  check(impl_->asked.size() < impl_->slots.size(), "readback: ", impl_->asked.size(), " numbers are pending already");
  Slot& slot = impl_->slots[impl_->next];
  queue_copy(impl_->device, slot.memory.data(), number.raw(), number.bytes(), slot.arrived);
  impl_->asked.push_back({impl_->next, number.dtype()});
  impl_->next = (impl_->next + 1) % impl_->slots.size();
}

double Readback::take() {
  check(!impl_->asked.empty(), "readback: nothing was asked for");
  const Impl::Asked first = impl_->asked.front();
  impl_->asked.pop_front();
  Slot& slot = impl_->slots[first.slot];
  slot.arrived.wait();
  impl_->device.report_index_fault();
  if (first.dtype == DType::f64) {
    double value;
    std::memcpy(&value, slot.memory.data(), sizeof value);
    return value;
  }
  float value;
  std::memcpy(&value, slot.memory.data(), sizeof value);
  return value;
}

struct DoubleBuffer::Impl {
  struct Piece {
    Piece(const Device& where, std::size_t bytes)
        : memory(where, bytes),
          content(Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::u8, where, MemoryUse::data)),
          arrived(where),
          read(where) {}
    HostMemory memory;
    Tensor content;
    Event arrived, read;
  };
  Impl(const Device& where, std::size_t bytes) : device(where), pieces{Piece(where, bytes), Piece(where, bytes)} {
#if KAGAMI_HAS_CUDA
    if (device.is_cpu()) return;
    // Whoever had the memory before may still be at work on it.
    for (Piece& piece : pieces) piece.read.record(device.as_cuda().stream);
#endif
  }
  Piece& current() { return pieces[at]; }
  Device device;
  std::array<Piece, 2> pieces;
  std::size_t at = 0;
};

DoubleBuffer::DoubleBuffer(Device device, std::size_t bytes) : impl_(new Impl(device, bytes)) {}
DoubleBuffer::~DoubleBuffer() = default;
DoubleBuffer::DoubleBuffer(DoubleBuffer&&) noexcept = default;
DoubleBuffer& DoubleBuffer::operator=(DoubleBuffer&&) noexcept = default;

std::uint8_t* DoubleBuffer::host() {
  impl_->current().arrived.wait();
  return reinterpret_cast<std::uint8_t*>(impl_->current().memory.data());
}

const std::uint8_t* DoubleBuffer::device() const { return impl_->current().content.data<std::uint8_t>(); }

void DoubleBuffer::fill(std::size_t bytes) {
  Impl::Piece& piece = impl_->current();
  check(bytes <= piece.content.bytes(), "feed: ", bytes, " bytes do not fit a buffer of ", piece.content.bytes());
#if KAGAMI_HAS_CUDA
  if (!impl_->device.is_cpu()) {
    CUstream_st* stream = impl_->device.feed_stream();
    piece.read.hold_back(stream);
    cuda::copy(piece.content.raw(), piece.memory.data(), bytes, stream);
    piece.arrived.record(stream);
    return;
  }
#endif
  std::memcpy(piece.content.raw(), piece.memory.data(), bytes);
}

void DoubleBuffer::acquire() {
#if KAGAMI_HAS_CUDA
  if (!impl_->device.is_cpu()) impl_->current().arrived.hold_back(impl_->device.as_cuda().stream);
#endif
}

void DoubleBuffer::release() {
#if KAGAMI_HAS_CUDA
  if (!impl_->device.is_cpu()) impl_->current().read.record(impl_->device.as_cuda().stream);
#endif
  impl_->at = 1 - impl_->at;
}

}  // namespace kagami
