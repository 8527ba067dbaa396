#pragma once
// The emulator's interface: settings and counters for tests, and CUDA C++'s builtins for g++, backed by fibers.
// Included through kernels/cuda/cuda.h.
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/launch.h"
#include "kernels/types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __shared__ static_assert(false, "use KAGAMI_SHARED(name, type)");
#define __grid_constant__
#define __launch_bounds__(...)
#define __restrict__ __restrict

// Written on every fiber switch, so they are always those of the running CUDA thread.
// (No macros: gdb can print them.)
extern constinit thread_local kagami::uint3 threadIdx, blockIdx;
extern constinit thread_local kagami::dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace kagami::emulator {
using Loc = std::source_location;

/// Any defect the runtime finds: names kernel, block, threads and source lines.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Which runnable thread continues next: with forward and reverse the warp that runs goes on as far as it can, the
/// first or the last warp at the start, and the one that reached a barrier last after it.
enum class Order { forward, reverse, random };
enum class Async { eager, lazy, random };  // when cp.async / TMA / wgmma take effect

struct Config {
  uint64_t seed = 1;
  Order order = Order::random;
  Async async = Async::random;
  int workers = 1;                  // OS threads that run blocks
  size_t stack_bytes = 64 << 10;    // per CUDA thread; the sanitizers get more
  int arch = 86;                    // 80, 86, 89 or 90: how much shared memory a block may have
  size_t memory = size_t{4} << 30;  // of all devices together, bytes
  int devices = 1;
};
/// Of the whole process; the environment sets the defaults: KAGAMI_EMULATOR_SEED, _ORDER, _ASYNC, _WORKERS, _ARCH,
/// _MEMORY, _DEVICES.
Config& config();
/// Bytes of shared memory a block may have, static and dynamic together.
size_t shared_limit(int arch);

/// What the launches so far did, summed over blocks; a test asserts on it without a GPU. `stats() = {}` starts anew. A
/// launch counts when it has run: synchronize first. Conflicts are the further turns that an access to shared memory
/// takes because several of its lanes meet in one bank; of cp.async, the n-th copies of a warp's lanes count as one
/// instruction. Bytes are those read: zeros that a copy fills in are none.
struct Stats {
  uint64_t blocks, switches, barriers, shuffles, ldmatrix, ldmatrix_conflicts, mma, wgmma, cp_async_bytes,
      cp_async_conflicts, tma_bytes;
};
Stats& stats();

// ---- launch
/// Throws for an address that is neither of the device nor pinned: a GPU cannot read it.
void check_address(std::string_view pretty, int argument, const void* address);
template <class T>
void check_argument(std::string_view pretty, int argument, const T& value) {
  if constexpr (std::is_pointer_v<T>) check_address(pretty, argument, value);
}
/// Throws unless the architecture can run such a launch.
void check_launch(std::string_view pretty, dim3 grid, dim3 block, size_t shared_bytes);
void launch_blocks(std::string_view pretty, dim3 grid, dim3 block, size_t shared_bytes,
                   const std::function<void()>& thread_body);
void queue_launch(CUstream_st* stream, std::string_view pretty, dim3 grid, dim3 block, size_t shared_bytes,
                  std::function<void()> thread_body);

// ---- shared memory: one arena per running block, poisoned (0xFF.. = NaN) at block start
void* static_shared(const void* tag, size_t bytes, size_t align);
void* dynamic_shared_bytes(size_t bytes, size_t align);
uint32_t shared_address(const void* p);  // 32-bit shared-space address, checked
template <class T>
T& dynamic_shared() {
  return *static_cast<T*>(dynamic_shared_bytes(sizeof(T), alignof(T)));
}

// ---- synchronisation
void bar_sync(int id, int count, bool whole_block, const char* what, Loc);
void bar_arrive(int id, int count, Loc);
enum class Vote { none, count, all, any };
int bar_vote(Vote, int pred, Loc);

enum class Shfl { idx, up, down, xor_ };
uint64_t warp_shuffle(Shfl, unsigned mask, uint64_t value, int arg, int width, Loc);
uint32_t warp_vote(Vote, unsigned mask, int pred, Loc);  // none = ballot
void warp_sync(unsigned mask, Loc);
}  // namespace kagami::emulator

namespace kagami {
using emulator::dynamic_shared;

/// Queues the kernel on the device's stream, with a copy of its arguments; its blocks run on fibers. Throws
/// emulator::Error for a launch that cannot be, and, when it runs, for whatever defect it finds.
template <auto Kernel, class... Args>
void launch(const Cuda& device, dim3 grid, dim3 block, std::size_t shared_bytes, Args... args) {
  int argument = 0;
  (emulator::check_argument(__PRETTY_FUNCTION__, ++argument, args), ...);
  emulator::queue_launch(device.stream, __PRETTY_FUNCTION__, grid, block, shared_bytes, [=] { Kernel(args...); });
}
}  // namespace kagami

#define KAGAMI_SHARED(name, ...)                              \
  static const char emulator_tag_##name = 0;                  \
  auto& name = *static_cast<std::add_pointer_t<__VA_ARGS__>>( \
      ::kagami::emulator::static_shared(&emulator_tag_##name, sizeof(__VA_ARGS__), alignof(__VA_ARGS__)))

inline void __syncthreads(kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  kagami::emulator::bar_sync(0, 0, true, "__syncthreads", l);
}
inline int __syncthreads_count(int p, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::bar_vote(kagami::emulator::Vote::count, p, l);
}
inline int __syncthreads_and(int p, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::bar_vote(kagami::emulator::Vote::all, p, l);
}
inline int __syncthreads_or(int p, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::bar_vote(kagami::emulator::Vote::any, p, l);
}
inline void __syncwarp(unsigned mask = ~0u, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  kagami::emulator::warp_sync(mask, l);
}
inline unsigned __ballot_sync(unsigned m, int p, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::warp_vote(kagami::emulator::Vote::none, m, p, l);
}
inline int __any_sync(unsigned m, int p, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return int(kagami::emulator::warp_vote(kagami::emulator::Vote::any, m, p, l));
}
inline int __all_sync(unsigned m, int p, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return int(kagami::emulator::warp_vote(kagami::emulator::Vote::all, m, p, l));
}

namespace kagami::emulator {
template <class T>
T shuffle(Shfl kind, unsigned mask, T v, int arg, int width, Loc l) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof v);
  bits = warp_shuffle(kind, mask, bits, arg, width, l);
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
}  // namespace kagami::emulator
template <class T>
T __shfl_sync(unsigned m, T v, int src, int w = 32, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::shuffle(kagami::emulator::Shfl::idx, m, v, src, w, l);
}
template <class T>
T __shfl_up_sync(unsigned m, T v, unsigned d, int w = 32, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::shuffle(kagami::emulator::Shfl::up, m, v, int(d), w, l);
}
template <class T>
T __shfl_down_sync(unsigned m, T v, unsigned d, int w = 32,
                   kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::shuffle(kagami::emulator::Shfl::down, m, v, int(d), w, l);
}
template <class T>
T __shfl_xor_sync(unsigned m, T v, int x, int w = 32, kagami::emulator::Loc l = kagami::emulator::Loc::current()) {
  return kagami::emulator::shuffle(kagami::emulator::Shfl::xor_, m, v, x, w, l);
}

inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() {}
template <class T, class U>
T atomicAdd(T* p, U v) {
  return std::atomic_ref<T>(*p).fetch_add(static_cast<T>(v), std::memory_order_relaxed);
}
template <class T, class U>
T atomicExch(T* p, U v) {
  return std::atomic_ref<T>(*p).exchange(static_cast<T>(v), std::memory_order_relaxed);
}
template <class T, class U>
T atomicMax(T* p, U v) {
  std::atomic_ref<T> a(*p);
  T old = a.load();
  while (old < T(v) && !a.compare_exchange_weak(old, T(v))) {
  }
  return old;
}
template <class T>
T atomicCAS(T* p, T expected, T desired) {
  std::atomic_ref<T>(*p).compare_exchange_strong(expected, desired);
  return expected;
}

template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(unsigned x) { return x ? std::countr_zero(x) + 1 : 0; }
inline int __clz(unsigned x) { return std::countl_zero(x); }
template <class T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
inline uint32_t __cvta_generic_to_shared(const void* p) { return kagami::emulator::shared_address(p); }
[[noreturn]] inline void __trap() { throw kagami::emulator::Error("__trap()"); }
