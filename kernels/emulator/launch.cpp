// Settings, counters, and a launch: its blocks in an order of the schedule, on one or more workers.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
namespace {
long env(const char* name, long fallback) {
  const char* v = std::getenv(name);
  return v ? std::strtol(v, nullptr, 0) : fallback;
}
}  // namespace

Config& config() {
  static Config c = [] {
    Config d;
    d.seed = uint64_t(env("KAGAMI_EMULATOR_SEED", 1));
    d.order = Order(env("KAGAMI_EMULATOR_ORDER", long(Order::random)));
    d.async = Async(env("KAGAMI_EMULATOR_ASYNC", long(Async::random)));
    d.workers = int(env("KAGAMI_EMULATOR_WORKERS", 1));
    d.memory = size_t(env("KAGAMI_EMULATOR_MEMORY", long(d.memory)));
    d.devices = int(env("KAGAMI_EMULATOR_DEVICES", d.devices));
    const char* arch = std::getenv("KAGAMI_EMULATOR_ARCH");  // sm_86, or 86
    if (arch) d.arch = std::atoi(std::strncmp(arch, "sm_", 3) == 0 ? arch + 3 : arch);
    shared_limit(d.arch);
#if defined(KAGAMI_ASAN) || defined(KAGAMI_TSAN) || !defined(__OPTIMIZE__)
    d.stack_bytes = 256 << 10;
#endif
    return d;
  }();
  return c;
}

Stats& stats() {
  static Stats s{};
  return s;
}

using namespace detail;

/// "... launch(...) [with auto Kernel = NAME; Args = ...]"
std::string detail::kernel_name(std::string_view pretty) {
  std::string name(pretty);
  if (auto at = name.find("Kernel = "); at != name.npos) {
    name = name.substr(at + 9);
    name = name.substr(0, name.find("; Args"));
  }
  return name;
}

size_t shared_limit(int arch) {
  switch (arch) {
    case 80:
      return 163 << 10;
    case 86:
    case 89:
      return 99 << 10;
    case 90:
      return 227 << 10;
    default:
      throw Error("emulator: arch " + std::to_string(arch) + " is not known; use 80, 86, 89 or 90");
  }
}

void check_launch(std::string_view pretty, dim3 grid, dim3 block, size_t smem) {
  const auto refuse = [&](const std::string& why) { throw Error("launch of " + kernel_name(pretty) + ": " + why); };
  const uint3 b{block.x, block.y, block.z}, g{grid.x, grid.y, grid.z};
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64)
    refuse("a block of " + to_string(b) + " threads; at least 1 and at most 1024, 64 of them in z");
  if (uint64_t(grid.x) * grid.y * grid.z == 0 || grid.x > 0x7FFFFFFF || grid.y > 65535 || grid.z > 65535)
    refuse("a grid of " + to_string(g) + " blocks; at least 1, at most 65535 in y and z");
  const int arch = config().arch;
  if (smem > shared_limit(arch))
    refuse(std::to_string(smem) + " bytes of dynamic shared memory; a block may have " +
           std::to_string(shared_limit(arch)) + " on sm_" + std::to_string(arch));
}

void launch_blocks(std::string_view pretty, dim3 grid, dim3 block, size_t smem, const std::function<void()>& body) {
  const std::string name = kernel_name(pretty);
  const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;

  const Config& c = config();
  std::vector<uint32_t> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  if (c.order == Order::reverse) std::reverse(order.begin(), order.end());
  if (c.order == Order::random) {
    Random r(c.seed);
    for (size_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[r.below(uint32_t(i))]);
  }

  static std::mutex mutex;
  static auto& pool = *new std::vector<std::unique_ptr<Worker>>;  // lives until exit
  auto take = [&] {
    std::scoped_lock lock(mutex);
    if (pool.empty()) return std::make_unique<Worker>();
    auto w = std::move(pool.back());
    pool.pop_back();
    return w;
  };
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::exception_ptr error;
  auto run = [&] {
    static thread_local bool installed = (install_crash_report(), true);
    (void)installed;
    auto w = take();
    for (size_t i; !stop && (i = next++) < blocks;) {
      uint32_t b = order[i];
      uint3 index{b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
      try {
        w->run_block(name, grid, block, index, smem, c.seed * 0x100000001B3ull + b, body);
      } catch (...) {
        std::scoped_lock lock(mutex);
        if (!error) error = std::current_exception();
        stop = true;
      }
    }
    std::scoped_lock lock(mutex);
    auto* sum = reinterpret_cast<uint64_t*>(&stats());
    auto* mine = reinterpret_cast<uint64_t*>(&w->counts);
    for (size_t i = 0; i < sizeof(Stats) / sizeof(uint64_t); ++i) sum[i] += std::exchange(mine[i], 0);
    pool.push_back(std::move(w));
  };
  std::vector<std::jthread> extra;
  for (size_t i = 1; i < std::min<size_t>(size_t(c.workers), blocks); ++i) extra.emplace_back(run);
  run();
  extra.clear();
  tsan_acquire(&launch_end);
  if (error) std::rethrow_exception(error);
}
}  // namespace kagami::emulator
