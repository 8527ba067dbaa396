// When queued work runs, and what a capture records.
#include "kernels/emulator/streams.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace kagami::emulator {
namespace detail {

Machine& machine() {
  static Machine& lives_until_exit = *new Machine;  // memory may be released by other destructors of static objects
  return lives_until_exit;
}

void Machine::add(CUstream_st* stream) { streams_.push_back(stream); }

void Machine::remove(CUstream_st* stream) {
  drain_all();
  std::erase(streams_, stream);
}

void Machine::queue(CUstream_st* stream, Kind kind, std::function<void()> run) {
  throw_kept_error();
  if (kind == Kind::kernel && stream->device != current_device)
    throw Error("a launch on a stream of device " + std::to_string(stream->device) + " while device " +
                std::to_string(current_device) + " is current; call make_current first");
  if (Capture* capture = stream->capture.get()) {
    capture->graph.nodes.push_back({std::move(run), stream->frontier});
    capture->graph.kernels += kind == Kind::kernel;
    stream->frontier = {static_cast<int>(capture->graph.nodes.size()) - 1};
    return;
  }
  stream->work.push_back({std::move(run), nullptr, nullptr});
  run_some();
}

void Machine::record(CUevent_st* event, CUstream_st* stream) {
  if (event->device != stream->device)
    throw Error("record: the event is of device " + std::to_string(event->device) + ", the stream of device " +
                std::to_string(stream->device));
  event->captured = stream->capture != nullptr;
  event->capture = stream->capture;
  event->frontier = stream->frontier;
  if (event->captured) return;
  event->last = std::make_shared<Happening>();
  event->last->stream = stream;
  stream->work.push_back({nullptr, event->last, nullptr});
  run_some();
}

void Machine::wait(CUstream_st* stream, CUevent_st* event) {
  if (event->captured) {
    const auto capture = event->capture.lock();
    if (!capture || (stream->capture && stream->capture != capture))
      throw std::runtime_error(
          "wait: the event was recorded in another capture than the stream is in, or in one that ended");
    if (!stream->capture) {
      stream->capture = capture;
      stream->frontier.clear();
      capture->joined.push_back(stream);
    }
    for (const int node : event->frontier)
      if (std::find(stream->frontier.begin(), stream->frontier.end(), node) == stream->frontier.end())
        stream->frontier.push_back(node);
    return;
  }
  if (!event->last) return;  // never recorded: nothing to wait for
  if (stream->capture) {
    if (event->last->done) return;
    refuse_in_capture("a wait for work outside the capture", stream);
  }
  stream->work.push_back({nullptr, nullptr, event->last});
  run_some();
}

void Machine::run_front(CUstream_st* stream) {
  const DeviceWork work;
  // A stream that this one waits for runs first; the item leaves the queue before it runs, for it may throw.
  if (const auto awaited = stream->work.front().waits) drain_until(*awaited);
  Queued item = std::move(stream->work.front());
  stream->work.pop_front();
  if (item.records) {
    item.records->when = std::chrono::steady_clock::now();
    item.records->done = true;
  }
  if (!item.run) return;
  try {
    item.run();
  } catch (...) {
    for (const Queued& dropped : stream->work)
      if (dropped.records) dropped.records->done = true;
    stream->work.clear();
    throw;
  }
}

void Machine::drain(CUstream_st* stream) {
  throw_kept_error();
  while (!stream->work.empty()) run_front(stream);
}

void Machine::drain_until(const Happening& happening) {
  while (!happening.done) run_front(happening.stream);
}

template <class F>
void Machine::keeping_errors(F&& run) noexcept {
  try {
    run();
  } catch (...) {
    if (!kept_) kept_ = std::current_exception();
  }
}

void Machine::drain_all() noexcept {
  for (CUstream_st* stream : streams_)
    keeping_errors([&] {
      while (!stream->work.empty()) run_front(stream);
    });
}

void Machine::settle(const Happening& happening) noexcept {
  keeping_errors([&] { drain_until(happening); });
}

void Machine::throw_kept_error() {
  if (kept_) std::rethrow_exception(std::exchange(kept_, nullptr));
}

void Machine::run_some() {
  const Async async = config().async;
  if (async == Async::lazy) return;
  for (CUstream_st* stream : streams_) {
    std::size_t count = stream->work.size();
    if (async == Async::random) count = random_.below(static_cast<std::uint32_t>(count + 1));
    for (; count > 0 && !stream->work.empty(); --count) run_front(stream);
  }
}

void Machine::refuse_in_capture(const std::string& what, CUstream_st* stream) {
  for (const auto& capture : captures_) {
    if (stream ? stream->capture != capture : capture->thread != std::this_thread::get_id()) continue;
    if (capture->broken_by.empty()) capture->broken_by = what;
    throw std::runtime_error(what + " cannot be recorded: it happened between begin_capture and end_capture");
  }
}

void Machine::begin_capture(CUstream_st* stream) {
  if (stream->capture) throw std::runtime_error("begin_capture: the stream is being captured already");
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->thread = std::this_thread::get_id();
  stream->capture->joined = {stream};
  stream->frontier.clear();
  captures_.push_back(stream->capture);
}

namespace {

/// How many nodes nothing that `frontier` comes after contains.
int nodes_left_out(const Graph& graph, const std::vector<int>& frontier) {
  std::vector<bool> reached(graph.nodes.size());
  for (const int node : frontier) reached[static_cast<std::size_t>(node)] = true;
  for (std::size_t i = graph.nodes.size(); i-- > 0;)
    if (reached[i])
      for (const int before : graph.nodes[i].after) reached[static_cast<std::size_t>(before)] = true;
  return static_cast<int>(std::count(reached.begin(), reached.end(), false));
}

}  // namespace

std::unique_ptr<Graph> Machine::end_capture(CUstream_st* stream) {
  const auto capture = stream->capture;
  if (!capture || capture->origin != stream) throw std::runtime_error("end_capture: no capture began on this stream");
  const int left_out = nodes_left_out(capture->graph, stream->frontier);
  for (CUstream_st* joined : capture->joined) {
    joined->capture = nullptr;
    joined->frontier.clear();
  }
  std::erase(captures_, capture);
  if (!capture->broken_by.empty())
    throw std::runtime_error("end_capture: nothing was recorded, because of " + capture->broken_by);
  if (left_out > 0)
    throw std::runtime_error("end_capture: " + std::to_string(left_out) + " of " +
                             std::to_string(capture->graph.nodes.size()) +
                             " recorded operations are on streams that the first stream does not wait for at the end");
  return std::make_unique<Graph>(std::move(capture->graph));
}

void Machine::run(const Graph& graph) {
  // Any order that respects the edges is allowed: the recorded one, the most different one, a random one.
  const Async async = config().async;
  std::vector<int> left;
  for (const auto& node : graph.nodes) left.push_back(static_cast<int>(node.after.size()));
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < left.size(); ++i)
    if (left[i] == 0) ready.push_back(i);
  while (!ready.empty()) {
    const std::size_t at = async == Async::eager
                               ? static_cast<std::size_t>(std::min_element(ready.begin(), ready.end()) - ready.begin())
                           : async == Async::lazy ? ready.size() - 1
                                                  : random_.below(static_cast<std::uint32_t>(ready.size()));
    const std::size_t node = ready[at];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(at));
    graph.nodes[node].run();
    for (std::size_t i = node + 1; i < left.size(); ++i)
      for (const int before : graph.nodes[i].after)
        if (before == static_cast<int>(node) && --left[i] == 0) ready.push_back(i);
  }
}

}  // namespace detail

void queue_launch(CUstream_st* stream, std::string_view pretty, dim3 grid, dim3 block, std::size_t shared_bytes,
                  std::function<void()> thread_body) {
  check_launch(pretty, grid, block, shared_bytes);
  const std::scoped_lock hold(detail::machine().guard);
  // `pretty` is a string literal of the launch's instantiation.
  detail::machine().queue(stream, detail::Kind::kernel, [=, body = std::move(thread_body)] {
    launch_blocks(pretty, grid, block, shared_bytes, body);
  });
}

}  // namespace kagami::emulator
