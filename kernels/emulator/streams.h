#pragma once
// Private to the emulator: streams, events and recorded graphs. Work that is queued runs as late as CUDA allows
// (schedule lazy), at once (eager), or in between (random): at the latest when the host waits for it.
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels/emulator/fibers.h"

struct CUevent_st;

namespace kagami::emulator::detail {

/// One recording of an event.
struct Happening {
  CUstream_st* stream = nullptr;
  bool done = false;
  std::chrono::steady_clock::time_point when;
};

/// What a stream has queued: work, the recording of an event, or the wait for one.
struct Queued {
  std::function<void()> run;
  std::shared_ptr<Happening> records, waits;
};

/// Work in the order it was recorded; each piece waits for earlier ones.
struct Graph {
  struct Node {
    std::function<void()> run;
    std::vector<int> after;
  };
  std::vector<Node> nodes;
  int kernels = 0;
};

struct Capture {
  Graph graph;
  CUstream_st* origin = nullptr;
  std::thread::id thread;
  std::vector<CUstream_st*> joined;  ///< `origin` and every stream that waited for an event of this capture
  std::string broken_by;             ///< the first call that a capture does not allow
};

enum class Kind { kernel, copy };

/// Lives while queued work runs, in a call that holds the machine. But then AddressSanitizer knows the device's memory
/// as poisoned, as far as its first megabytes, and reports a host that touches it.
class DeviceWork {
 public:
  DeviceWork();
  ~DeviceWork();
  DeviceWork(const DeviceWork&) = delete;
  DeviceWork& operator=(const DeviceWork&) = delete;
  static inline int depth = 0;
};

/// Every call of the host interface holds the machine.
class Machine {
 public:
  std::recursive_mutex guard;

  void add(CUstream_st* stream);
  void remove(CUstream_st* stream);
  void queue(CUstream_st* stream, Kind kind, std::function<void()> run);
  void record(CUevent_st* event, CUstream_st* stream);
  void wait(CUstream_st* stream, CUevent_st* event);
  /// Runs what `stream` holds, and what that waits for. Throws what a kernel threw; the rest of the stream is dropped
  /// then.
  void drain(CUstream_st* stream);
  void drain_until(const Happening& happening);
  /// As freeing memory does; an error is kept for the next call that can throw.
  void drain_all() noexcept;
  void settle(const Happening& happening) noexcept;
  void throw_kept_error();

  void begin_capture(CUstream_st* stream);
  std::unique_ptr<Graph> end_capture(CUstream_st* stream);
  void run(const Graph& graph);
  /// Throws when the calling thread (or, if given, the stream) is capturing: `what` cannot be recorded.
  void refuse_in_capture(const std::string& what, CUstream_st* stream = nullptr);

 private:
  template <class F>
  void keeping_errors(F&& run) noexcept;
  void run_front(CUstream_st* stream);
  void run_some();
  std::vector<CUstream_st*> streams_;
  std::vector<std::shared_ptr<Capture>> captures_;
  std::exception_ptr kept_;
  Random random_{0x6b6167616d69};
};

Machine& machine();

inline thread_local int current_device = 0;  ///< see cuda::make_current()

}  // namespace kagami::emulator::detail

struct CUstream_st {
  int device = 0;
  std::deque<kagami::emulator::detail::Queued> work;
  std::shared_ptr<kagami::emulator::detail::Capture> capture;
  std::vector<int> frontier;  ///< nodes of the capture that the stream's next work comes after
};

struct CUevent_st {
  int device = kagami::emulator::detail::current_device;
  std::shared_ptr<kagami::emulator::detail::Happening> last;
  std::weak_ptr<kagami::emulator::detail::Capture> capture;  ///< when it was recorded in one
  std::vector<int> frontier;
  bool captured = false;
};

struct CUgraphExec_st {
  std::shared_ptr<const kagami::emulator::detail::Graph> graph;
};
