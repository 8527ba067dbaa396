// Views per second of the augmentation on one thread: items/s is what bench/peers/torchvision_augment.py prints for
// torchvision. The source images are 32x32 noise, or 500x375 for the ImageNet policies.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/augment.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"
#include "ssl/augmentation.h"

namespace kagami {
namespace {

struct Images {
  std::vector<std::uint8_t> pixels;
  std::vector<SourceImage> sources;
  Images(int count, int height, int width) : pixels(static_cast<std::size_t>(count) * height * width * 3) {
    Philox random(1, Purpose::test, 0, 0, 0);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random.next());
    for (int i = 0; i < count; ++i)
      sources.push_back({pixels.data() + static_cast<std::size_t>(i) * height * width * 3, height, width,
                         static_cast<std::uint32_t>(i)});
  }
};

void views(benchmark::State& state, const AugmentPolicy& policy, const Images& images, const char* isa) {
  Arena arena;
  cpu::set_isa(isa);
  cpu::set_threads(1);
  const auto count = static_cast<std::int64_t>(images.sources.size());
  std::vector<float> out(static_cast<std::size_t>(count) * policy.size * policy.size * 3);
  AugmentDraw draw;
  for (auto _ : state) {
    augment(Cpu{&arena}, policy, draw, images.sources.data(), count, out.data());
    ++draw.epoch;
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * count);
}

void add(const std::string& name, const AugmentPolicy& policy, const Images& images) {
  for (const char* isa : {"auto", "avx2", "baseline"}) {
    try {
      cpu::set_isa(isa);
    } catch (const std::invalid_argument&) {
      continue;
    }
    const std::string label = name + "/" + cpu::name_of(cpu::isa());
    benchmark::RegisterBenchmark(label.c_str(),
                                 [=, &images](benchmark::State& state) { views(state, policy, images, isa); })
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime();
  }
}

void add_all() {
  static const Images small(256, 32, 32), large(4, 375, 500);
  AugmentPolicy cifar = augment_policy("simclr-cifar");
  add("cifar32_bicubic", cifar, small);
  cifar.interpolation = Interpolation::bilinear;
  add("cifar32", cifar, small);
  cifar.blur_probability = 0.5F;
  add("cifar32_blur", cifar, small);
  add("imagenet224_simclr", augment_policy("simclr"), large);
}

}  // namespace
}  // namespace kagami

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  kagami::add_all();
  benchmark::RunSpecifiedBenchmarks();
}
