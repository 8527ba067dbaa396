// Batch norm on the shapes of CIFAR ResNets: bytes per second of memory that a pass must touch at least. The forward
// pass reads x twice, (the residual,) and writes y; the backward pass reads dy and x (and y) twice and writes dx.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/batch_norm.h"
#include "kernels/cpu/isa.h"

namespace kagami {
namespace {

struct Setting {
  const char* name;
  std::int64_t rows;
  int channels;
  bool residual;
};

class Fixture {
 public:
  explicit Fixture(const Setting& setting)
      : shape_{setting.rows, setting.channels},
        residual_(setting.residual),
        x_(size()),
        added_(setting.residual ? size() : 0),
        y_(size()),
        dy_(size(), 0.5F),
        dx_(size()),
        channel_(9 * static_cast<std::size_t>(setting.channels), 1.0F) {
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<float>(i * 2654435761U % 1024) / 512 - 1;
  }

  void forward() {
    batch_norm_measure<float>(
        device(), {shape_, {part(5), part(6), part(7), part(8)}, 1e-5, 0.1, RunningUpdate::in_order, saved()},
        x_.data());
    batch_norm_apply<float>(device(), shape_, x_.data(), saved(), residual_ ? added_.data() : nullptr, true, y_.data());
  }

  void backward() {
    BatchNormBackward<float> gradient{dy_.data(), x_.data(), residual_ ? y_.data() : nullptr, true, true, {}, {},
                                      {},         {}};
    gradient.dx = {dx_.data()};
    gradient.dgamma = {part(5)};
    gradient.dbeta = {part(6)};
    batch_norm_backward<float>(device(), shape_, part(7), saved(), gradient);
  }

  std::int64_t bytes() const { return shape_.rows * shape_.channels * static_cast<std::int64_t>(sizeof(float)); }

 private:
  std::size_t size() const { return static_cast<std::size_t>(shape_.rows * shape_.channels); }
  Cpu device() { return {&arena_}; }
  float* part(std::size_t i) { return channel_.data() + i * static_cast<std::size_t>(shape_.channels); }
  BatchNormSaved<float> saved() { return {part(0), part(1), part(2), part(3), part(4)}; }

  Arena arena_;
  BatchNormShape shape_;
  bool residual_;
  std::vector<float> x_, added_, y_, dy_, dx_, channel_;
};

void add(const Setting& setting, bool backward) {
  const std::string name = std::string(setting.name) + (backward ? "/backward" : "/forward");
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) {
                                 Fixture fixture(setting);
                                 for (auto _ : state) {
                                   backward ? fixture.backward() : fixture.forward();
                                   benchmark::ClobberMemory();
                                 }
                                 const int passes = backward ? 5 + 2 * setting.residual : 3 + setting.residual;
                                 state.SetBytesProcessed(state.iterations() * passes * fixture.bytes());
                               })
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

}  // namespace
}  // namespace kagami

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const kagami::Setting& setting :
       {kagami::Setting{"256x32x32x16", 262144, 16, false}, kagami::Setting{"256x32x32x16+residual", 262144, 16, true},
        kagami::Setting{"256x16x16x32", 65536, 32, false}, kagami::Setting{"64x32x32x64", 65536, 64, false},
        kagami::Setting{"64x32x32x64+residual", 65536, 64, true}, kagami::Setting{"64x4x4x512", 1024, 512, false},
        kagami::Setting{"512x2048", 512, 2048, false}})
    for (const bool backward : {false, true}) kagami::add(setting, backward);
  benchmark::RunSpecifiedBenchmarks();
}
