// Convolution kernels, the layers of the ResNets Kagami trains. GFLOP/s count the direct algorithm's operations.
// --threads N, --cpu SET and --conv NAME stand before Google Benchmark's own options.
#include "kernels/conv2d.h"

#include <benchmark/benchmark.h>

#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

// n, h, w, c, k, r, s, stride, pad
const Conv2dShape layers[] = {
    // ResNet-18, CIFAR stem, batch 64
    {64, 32, 32, 3, 64, 3, 3, 1, 1},
    {64, 32, 32, 64, 64, 3, 3, 1, 1},
    {64, 16, 16, 128, 128, 3, 3, 1, 1},
    {64, 8, 8, 256, 256, 3, 3, 1, 1},
    {64, 4, 4, 512, 512, 3, 3, 1, 1},
    {64, 32, 32, 64, 128, 3, 3, 2, 1},
    {64, 16, 16, 128, 256, 3, 3, 2, 1},
    {64, 8, 8, 256, 512, 3, 3, 2, 1},
    {64, 32, 32, 64, 128, 1, 1, 2, 0},
    {64, 16, 16, 128, 256, 1, 1, 2, 0},
    {64, 8, 8, 256, 512, 1, 1, 2, 0},
    // ResNet-20 and ResNet-8, width 16, batch 256
    {256, 32, 32, 3, 16, 3, 3, 1, 1},
    {256, 32, 32, 3, 16, 3, 3, 2, 1},
    {256, 32, 32, 16, 16, 3, 3, 1, 1},
    {256, 16, 16, 32, 32, 3, 3, 1, 1},
    {256, 8, 8, 64, 64, 3, 3, 1, 1},
    {256, 32, 32, 16, 32, 3, 3, 2, 1},
    {256, 16, 16, 32, 64, 3, 3, 2, 1},
    {256, 32, 32, 16, 32, 1, 1, 2, 0},
    {256, 16, 16, 32, 64, 1, 1, 2, 0},
};

/// Memory as the engine's tensors have it (huge pages), filled with normal values.
struct Values : Scratch<float> {
  Values(Arena* arena, std::size_t count) : Scratch(arena, count) {
    std::mt19937 generator(1);
    std::normal_distribution<float> distribution;
    for (std::size_t i = 0; i < count; ++i) (*this)[i] = i < 4096 ? distribution(generator) : (*this)[i - 4096];
  }
};

void run(benchmark::State& state, const Conv2dShape& s, cpu::ConvPass pass) {
  static Arena arena;
  const Cpu device{&arena};
  const std::size_t outputs = std::size_t(s.n) * s.out_h() * s.out_w() * s.k;
  const Values x(&arena, std::size_t(s.n) * s.h * s.w * s.c), w(&arena, std::size_t(s.k) * s.r * s.s * s.c);
  const Values y(&arena, outputs);
  for (auto _ : state) {
    switch (pass) {
      case cpu::ConvPass::forward:
        conv2d_forward(device, s, x.data(), Weights<float>{w.data()}, y.data());
        break;
      case cpu::ConvPass::dgrad:
        conv2d_dgrad(device, s, y.data(), Weights<float>{w.data()}, x.data(), Accumulate::no);
        break;
      case cpu::ConvPass::wgrad:
        conv2d_wgrad(device, s, x.data(), y.data(), w.data(), Accumulate::no);
        break;
    }
    benchmark::ClobberMemory();
  }
  const double operations = 2.0 * static_cast<double>(outputs) * s.r * s.s * s.c;
  state.counters["GFLOP/s"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(cpu::name_of(cpu::conv_algorithm(s, pass)));
}

void add_benchmarks() {
  const std::pair<const char*, cpu::ConvPass> passes[] = {
      {"forward", cpu::ConvPass::forward}, {"dgrad", cpu::ConvPass::dgrad}, {"wgrad", cpu::ConvPass::wgrad}};
  for (const Conv2dShape& s : layers)
    for (const auto& [name, pass] : passes) {
      const std::string title = std::string(name) + "/n" + std::to_string(s.n) + "_" + std::to_string(s.h) + "x" +
                                std::to_string(s.w) + "_" + std::to_string(s.c) + "to" + std::to_string(s.k) + "_" +
                                std::to_string(s.r) + "x" + std::to_string(s.s) + "_s" + std::to_string(s.stride);
      benchmark::RegisterBenchmark(title.c_str(), [&s, pass = pass](benchmark::State& state) { run(state, s, pass); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
}

/// Takes the options of this program out of the arguments; returns how many it used.
int take_options(int argc, char** argv) {
  int used = 1;
  for (; used + 1 < argc; used += 2) {
    const std::string_view option = argv[used], value = argv[used + 1];
    if (option == "--threads")
      cpu::set_threads(std::stoi(std::string(value)));
    else if (option == "--cpu")
      cpu::set_isa(value);
    else if (option == "--conv")
      cpu::set_conv_algorithm(value);
    else
      break;
  }
  return used - 1;
}

}  // namespace
}  // namespace kagami

int main(int argc, char** argv) {
  try {
    const int used = kagami::take_options(argc, argv);
    argv[used] = argv[0];
    argc -= used;
    argv += used;
    kagami::add_benchmarks();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::invalid_argument& error) {
    std::cerr << "conv2d_bench: " << error.what() << '\n';
    return 2;
  }
}
