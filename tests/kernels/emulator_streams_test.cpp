// The emulated device's streams, events, memory and recorded graphs.
#if KAGAMI_EMULATED
#include <cmath>
#include <memory>
#include <numeric>

#include "tests/kernels/cuda_case.h"

namespace kagami {
namespace {

using emulator::Async;

__global__ void add(float* x, float value) { x[threadIdx.x] += value; }
__global__ void twice(float* x) { x[threadIdx.x] *= 2; }
__global__ void move(const float* from, float* to) { to[threadIdx.x] = from[threadIdx.x]; }
__global__ void fails(float* x) {
  if (threadIdx.x < 5) __syncthreads();
  x[threadIdx.x] = 1;
}

constexpr int n = 32;

struct Stream {
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cuda::destroy_stream(get); }
  Cuda device() const { return {nullptr, get, 1}; }
  CUstream_st* get = cuda::create_stream(0);
};
struct Event {
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cuda::destroy_event(get); }
  CUevent_st* get = cuda::create_event();
};
struct Pinned {
  Pinned() = default;
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() { cuda::release_pinned(get); }
  float* get = static_cast<float*>(cuda::allocate_pinned(n * sizeof(float)));
};

class EmulatorStreams : public testing::Test {
 protected:
  void TearDown() override { emulator::config() = before; }
  static void schedule(Async async) { emulator::config().async = async; }
  emulator::Config before = emulator::config();
  Stream first, second;
  Event event;
  OnDevice<float> x{std::vector<float>(n, 1.0F)}, y{std::vector<float>(n, 0.0F)};

  std::vector<float> all(float value) const { return std::vector<float>(n, value); }
  void add_to_x(const Stream& stream, float value) {
    launch<add>(stream.device(), dim3{1}, dim3{n}, 0, x.data(), value);
  }
  void twice_x(const Stream& stream) { launch<twice>(stream.device(), dim3{1}, dim3{n}, 0, x.data()); }
  void move_x_to_y(const Stream& stream) { launch<move>(stream.device(), dim3{1}, dim3{n}, 0, x.data(), y.data()); }
};

TEST_F(EmulatorStreams, ADeviceThatIsNotCurrentTakesNoLaunch) {
  cuda::make_current(1);
  EXPECT_TRUE(mentions(error_of([&] { add_to_x(first, 1); }), "a stream of device 0 while device 1 is current"));
  const Event other;
  EXPECT_TRUE(mentions(error_of([&] { cuda::record(other.get, first.get); }), "the event is of device 1"));
  cuda::make_current(0);
  add_to_x(first, 1);
  cuda::synchronize(first.get);
  EXPECT_EQ(x.host(), all(2));
}

TEST_F(EmulatorStreams, WorkOfAStreamRunsInOrderWhenTheHostWaits) {
  under_every_schedule([&] {
    cuda::copy(x.data(), all(1).data(), n * sizeof(float), first.get);
    for (int i = 0; i < 5; ++i) add_to_x(first, 1), twice_x(first);
    cuda::synchronize(first.get);
    EXPECT_EQ(x.host(), all(94));
  });
}

TEST_F(EmulatorStreams, LazyWorkRunsAsLateAsAllowed) {
  schedule(Async::lazy);
  float argument = 2;
  add_to_x(first, argument);
  argument = 100;  // the launch keeps its own
  EXPECT_EQ(x.host(), all(1)) << "another stream's copy does not wait";
  cuda::record(event.get, first.get);
  add_to_x(first, 10);
  cuda::synchronize(event.get);
  EXPECT_EQ(x.host(), all(3));
  cuda::synchronize(first.get);
  EXPECT_EQ(x.host(), all(13));
}

TEST_F(EmulatorStreams, EagerWorkRunsAtOnce) {
  schedule(Async::eager);
  add_to_x(first, 2);
  EXPECT_EQ(x.host(), all(3));
}

TEST_F(EmulatorStreams, AnEventOrdersTwoStreams) {
  under_every_schedule([&] {
    cuda::copy(x.data(), all(1).data(), n * sizeof(float), first.get);
    add_to_x(first, 4);
    cuda::record(event.get, first.get);
    cuda::wait(second.get, event.get);
    move_x_to_y(second);
    cuda::synchronize(second.get);
    EXPECT_EQ(y.host(), all(5));
  });
}

TEST_F(EmulatorStreams, AForgottenEventIsSeen) {
  schedule(Async::lazy);
  add_to_x(first, 4);
  move_x_to_y(second);
  cuda::synchronize(second.get);
  EXPECT_EQ(y.host(), all(1));
  cuda::synchronize(first.get);
}

TEST_F(EmulatorStreams, APinnedSourceChangedTooEarlyIsSeen) {
  Pinned staging;
  const auto run = [&](bool waits) {
    std::fill_n(staging.get, n, 7.0F);
    cuda::copy(x.data(), staging.get, n * sizeof(float), first.get);
    cuda::record(event.get, first.get);
    if (waits) cuda::synchronize(event.get);
    std::fill_n(staging.get, n, 8.0F);
    cuda::synchronize(first.get);
    return x.host();
  };
  schedule(Async::lazy);
  EXPECT_EQ(run(true), all(7));
  EXPECT_TRUE(
      mentions(error_of([&] { run(false); }), "a copy of 128 bytes ran after its pinned source had been written"));
  schedule(Async::eager);
  EXPECT_EQ(run(false), all(7));
}

TEST_F(EmulatorStreams, PinnedMemoryReleasedTooEarlyIsSeen) {
  schedule(Async::lazy);
  const auto copy_and_release = [&](bool back) {
    auto staging = std::make_unique<Pinned>();
    EXPECT_TRUE(std::isnan(staging->get[0]));
    std::fill_n(staging->get, n, 7.0F);
    cuda::copy(back ? staging->get : x.data(), back ? x.data() : staging->get, n * sizeof(float), first.get);
    staging.reset();
    cuda::synchronize(first.get);
  };
  EXPECT_TRUE(mentions(error_of([&] { copy_and_release(false); }), "ran after its source had been released"));
  EXPECT_TRUE(mentions(error_of([&] { copy_and_release(true); }), "ran after its target had been released"));
  EXPECT_EQ(x.host(), all(1));
}

TEST_F(EmulatorStreams, AGraphOutlivesItsPinnedMemory) {
  auto staging = std::make_unique<Pinned>();
  cuda::begin_capture(first.get);
  cuda::copy(x.data(), staging->get, n * sizeof(float), first.get);
  CUgraphExec_st* graph = cuda::end_capture(first.get);
  staging.reset();
  EXPECT_TRUE(mentions(error_of([&] {
                         cuda::replay(graph, first.get);
                         cuda::synchronize(first.get);
                       }),
                       "ran after its source had been released"));
  cuda::destroy_graph(graph);
}

TEST_F(EmulatorStreams, APinnedResultIsThereAfterTheWaitOnly) {
  schedule(Async::lazy);
  Pinned result;
  cuda::copy(result.get, x.data(), n * sizeof(float), first.get);
  EXPECT_TRUE(std::isnan(result.get[0]));
  cuda::synchronize(first.get);
  EXPECT_EQ(result.get[0], 1.0F);
}

TEST_F(EmulatorStreams, NewMemoryHoldsNaN) {
  auto* block = static_cast<float*>(cuda::allocate(0, 100 * sizeof(float)));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 256, 0U);
  float values[100] = {};
  cuda::copy(values, block, sizeof values, first.get);
  for (const float value : values) EXPECT_TRUE(std::isnan(value));
  cuda::release(0, block);
  EXPECT_TRUE(mentions(error_of([&] { cuda::release(0, &before); }), "not the address of a block"));
}

#if KAGAMI_ASAN
TEST_F(EmulatorStreams, AHostThatTouchesDeviceMemoryIsSeen) {
  EXPECT_DEATH(*const_cast<volatile float*>(x.data()) = 1, "use-after-poison");
  schedule(Async::lazy);
  add_to_x(first, 1);
  EXPECT_DEATH(static_cast<void>(*const_cast<volatile float*>(x.data() + n - 1)), "use-after-poison");
  cuda::synchronize(first.get);
  EXPECT_DEATH(static_cast<void>(*const_cast<volatile float*>(x.data())), "use-after-poison");
  EXPECT_EQ(x.host(), all(2));
}
#endif

TEST_F(EmulatorStreams, MemoryEnds) {
  emulator::config().memory = 1 << 20;
  EXPECT_EQ(cuda::allocate(0, 2 << 20), nullptr);
  EXPECT_EQ(cuda::properties(0).memory, std::size_t{1} << 20);
}

TEST_F(EmulatorStreams, ADefectIsReportedWhereTheHostWaits) {
  schedule(Async::lazy);
  launch<fails>(first.device(), dim3{1}, dim3{n}, 0, x.data());
  add_to_x(first, 1);
  EXPECT_TRUE(mentions(error_of([&] { cuda::synchronize(first.get); }), "divergent barrier"));
  cuda::synchronize(first.get);
  EXPECT_EQ(x.host(), all(1)) << "what was queued after it is dropped";
  launch<fails>(first.device(), dim3{1}, dim3{n}, 0, x.data());
  cuda::release(0, cuda::allocate(0, 64));  // waits, but cannot throw
  EXPECT_TRUE(mentions(error_of([&] { add_to_x(first, 1); }), "divergent barrier"));
  launch<fails>(first.device(), dim3{1}, dim3{n}, 0, x.data());
  cuda::record(event.get, first.get);
  cuda::settle(event.get);  // as well
  EXPECT_TRUE(mentions(error_of([&] { add_to_x(first, 1); }), "divergent barrier"));
}

TEST_F(EmulatorStreams, ElapsedNeedsEventsThatHaveHappened) {
  schedule(Async::lazy);
  Event last;
  cuda::record(event.get, first.get);
  add_to_x(first, 1);
  cuda::record(last.get, first.get);
  EXPECT_TRUE(mentions(error_of([&] { cuda::elapsed(event.get, last.get); }), "has not happened"));
  cuda::synchronize(first.get);
  EXPECT_GE(cuda::elapsed(event.get, last.get), 0.0F);
}

struct DestroyGraph {
  void operator()(CUgraphExec_st* graph) const { cuda::destroy_graph(graph); }
};
using Graph = std::unique_ptr<CUgraphExec_st, DestroyGraph>;

TEST_F(EmulatorStreams, AGraphRepeatsWhatWasRecorded) {
  under_every_schedule([&] {
    Pinned source;
    std::fill_n(source.get, n, 3.0F);
    EXPECT_FALSE(cuda::capturing(first.get));
    cuda::begin_capture(first.get);
    EXPECT_TRUE(cuda::capturing(first.get));
    cuda::copy(x.data(), source.get, n * sizeof(float), first.get);
    add_to_x(first, 1);
    twice_x(first);
    cuda::fill_bytes(y.data(), 0, n * sizeof(float), first.get);
    int kernels = 0;
    const Graph graph(cuda::end_capture(first.get, &kernels));
    EXPECT_EQ(kernels, 2);
    EXPECT_FALSE(cuda::capturing(first.get));
    const std::vector<float> untouched = x.host();
    for (const float value : {3.0F, 5.0F}) {
      std::fill_n(source.get, n, value);
      cuda::fill_bytes(y.data(), 0xff, n * sizeof(float), first.get);
      cuda::replay(graph.get(), first.get);
      add_to_x(first, 0.5F);
      cuda::synchronize(first.get);
      EXPECT_EQ(x.host(), all((value + 1) * 2 + 0.5F));
      EXPECT_EQ(y.host(), all(0));
    }
    cuda::copy(x.data(), untouched.data(), n * sizeof(float), first.get);
  });
}

TEST_F(EmulatorStreams, ACaptureFollowsEventsToOtherStreams) {
  under_every_schedule([&] {
    Event back;
    cuda::begin_capture(first.get);
    cuda::fill_bytes(x.data(), 0, n * sizeof(float), first.get);
    add_to_x(first, 3);
    cuda::record(event.get, first.get);
    cuda::wait(second.get, event.get);
    EXPECT_TRUE(cuda::capturing(second.get));
    move_x_to_y(second);
    cuda::record(back.get, second.get);
    cuda::wait(first.get, back.get);
    add_to_x(first, 1);
    const Graph graph(cuda::end_capture(first.get));
    EXPECT_FALSE(cuda::capturing(second.get));
    for (int i = 0; i < 3; ++i) cuda::replay(graph.get(), first.get);
    cuda::synchronize(first.get);
    EXPECT_EQ(x.host(), all(4));
    EXPECT_EQ(y.host(), all(3));
  });
}

TEST_F(EmulatorStreams, AGraphWithoutTheJoinIsSeen) {
  // Without the second event, the last addition of the first stream may come before the copy of the second.
  Event back;
  cuda::begin_capture(first.get);
  cuda::fill_bytes(x.data(), 0, n * sizeof(float), first.get);
  cuda::record(event.get, first.get);
  cuda::wait(second.get, event.get);
  move_x_to_y(second);
  add_to_x(first, 1);
  cuda::record(back.get, second.get);
  cuda::wait(first.get, back.get);
  const Graph graph(cuda::end_capture(first.get));
  const auto y_under = [&](Async async) {
    schedule(async);
    cuda::replay(graph.get(), first.get);
    cuda::synchronize(first.get);
    return y.host();
  };
  EXPECT_NE(y_under(Async::eager), y_under(Async::lazy));
}

TEST_F(EmulatorStreams, ACaptureMustBeJoined) {
  cuda::begin_capture(first.get);
  cuda::record(event.get, first.get);
  cuda::wait(second.get, event.get);
  add_to_x(second, 1);
  EXPECT_TRUE(mentions(error_of([&] { cuda::end_capture(first.get); }), "1 of 1 recorded operations are on streams"));
  EXPECT_FALSE(cuda::capturing(first.get));
  EXPECT_FALSE(cuda::capturing(second.get));
}

TEST_F(EmulatorStreams, WhatACaptureRefuses) {
  std::vector<float> host(n);
  const auto refuses = [&](const char* what, auto&& call) {
    cuda::begin_capture(first.get);
    add_to_x(first, 1);
    EXPECT_TRUE(mentions(error_of(call), what));
    EXPECT_TRUE(mentions(error_of([&] { cuda::end_capture(first.get); }), "nothing was recorded, because of"));
    EXPECT_FALSE(cuda::capturing(first.get));
  };
  refuses("the host's wait", [&] { cuda::synchronize(first.get); });
  refuses("neither the device's nor pinned", [&] { cuda::copy(host.data(), x.data(), n * sizeof(float), first.get); });
  refuses("an allocation", [&] { cuda::allocate(0, 64); });
  refuses("an allocation of pinned memory", [&] { cuda::allocate_pinned(64); });
  EXPECT_EQ(x.host(), all(1));
}

TEST_F(EmulatorStreams, SharedMemoryAndThreadsAreThoseOfTheArchitecture) {
  const std::pair<int, std::size_t> limits[] = {{80, 163 << 10}, {86, 99 << 10}, {90, 227 << 10}};
  for (const auto& [arch, limit] : limits) {
    emulator::config().arch = arch;
    EXPECT_EQ(cuda::properties(0).shared_per_block, limit);
    EXPECT_EQ(cuda::properties(0).major * 10 + cuda::properties(0).minor, arch);
    const auto with = [&](std::size_t bytes) {
      return error_of([&] { launch<twice>(first.device(), dim3{1}, dim3{n}, bytes, x.data()); });
    };
    EXPECT_EQ(with(limit), "");
    EXPECT_TRUE(mentions(with(limit + 1), "bytes of dynamic shared memory; a block may have " + std::to_string(limit) +
                                              " on sm_" + std::to_string(arch)));
    cuda::synchronize(first.get);
  }
}

__global__ void much_static(float* x) {
  KAGAMI_SHARED(tile, float[10000]);
  tile[threadIdx.x] = x[threadIdx.x];
}

TEST_F(EmulatorStreams, StaticSharedMemoryCountsToo) {
  emulator::config().arch = 86;
  const auto with = [&](std::size_t bytes) {
    return error_of([&] {
      launch<much_static>(first.device(), dim3{1}, dim3{n}, bytes, x.data());
      cuda::synchronize(first.get);
    });
  };
  EXPECT_EQ(with(61376), "");
  EXPECT_TRUE(mentions(with(61377), "40000 bytes static (at most 49152), 61377 dynamic"));
}

}  // namespace
}  // namespace kagami
#endif
