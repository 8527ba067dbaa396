#pragma once
// Devices, their memory, streams, events and recorded graphs: the part of CUDA's host interface the engine uses.
// Two implementations: driver.cpp calls CUDA, kernels/emulator/driver.cpp runs everything on the CPU.
#include <cstddef>
#include <cstdint>
#include <string>

struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;

namespace kagami::cuda {

struct DeviceProperties {
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
  int multiprocessors = 0;
  std::size_t memory = 0;            ///< bytes
  std::size_t shared_per_block = 0;  ///< bytes a block may ask for
  bool emulated = false;
};

/// How many devices can be used; 0 without a driver. `why_none` then says why, in one line.
int device_count(std::string* why_none = nullptr);
DeviceProperties properties(int device);

/// The device of this thread's next launches, events and replays, which belong to its streams alone.
void make_current(int device);

/// Throws std::runtime_error naming `what` unless `status` (a cudaError_t) is success.
void check(int status, const char* what);

/// Null when the device has no more memory. Aligned to 256 bytes.
void* allocate(int device, std::size_t bytes);
void release(int device, void* memory);
/// Host memory that devices copy from and to without the processor; null when there is no more of it.
void* allocate_pinned(std::size_t bytes);
void release_pinned(void* memory);

CUstream_st* create_stream(int device);
void destroy_stream(CUstream_st* stream);
void synchronize(CUstream_st* stream);

/// Between any two of host (pinned, or the call waits), device. Queued on the stream: until it has run, pinned memory
/// stays allocated and as it was at the call.
void copy(void* to, const void* from, std::size_t bytes, CUstream_st* stream);
void fill_bytes(void* to, int value, std::size_t bytes, CUstream_st* stream);

CUevent_st* create_event();  ///< of the current device
void destroy_event(CUevent_st* event);
void record(CUevent_st* event, CUstream_st* stream);
/// Later work of `stream` begins when the event has happened.
void wait(CUstream_st* stream, CUevent_st* event);
/// The host waits.
void synchronize(CUevent_st* event);
/// The same for destructors: an error is left for the next call that can throw.
void settle(CUevent_st* event) noexcept;
/// Milliseconds between two events that have happened.
float elapsed(CUevent_st* first, CUevent_st* last);

/// Between begin and end, work queued on `stream` (and on streams that wait for its events) is recorded, not run.
void begin_capture(CUstream_st* stream);
CUgraphExec_st* end_capture(CUstream_st* stream, int* kernels = nullptr);
bool capturing(CUstream_st* stream);
void replay(CUgraphExec_st* graph, CUstream_st* stream);
void destroy_graph(CUgraphExec_st* graph);

}  // namespace kagami::cuda
