#include "bench/vendor/cases.h"

#include <algorithm>
#include <limits>

namespace kagami::bench {

double bound_us(Context& context, Arithmetic arithmetic, double operations, double bytes) {
  const double ceiling = context.ceilings.of(arithmetic);
  const double by_bytes = context.device.emulated() ? 0 : bytes / context.copy_speed(bytes);
  if (operations > 0 && ceiling == 0) return std::numeric_limits<double>::quiet_NaN();
  return std::max(by_bytes, operations > 0 ? operations / ceiling * 1e-6 : 0);
}

Measured report(benchmark::State& state, Context& context, const std::string& group, const Work& ours,
                const Fastest& vendor, double bound) {
  std::vector<double> our_times, vendor_times;
  context.stopwatch.once(ours);
  for (auto _ : state) {
    our_times.push_back(context.stopwatch.once(ours));
    if (vendor.of_all) vendor_times.push_back(context.stopwatch.once(vendor.of_all->run));
    state.SetIterationTime(our_times.back() * 1e-6);
  }
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  const Measured measured{median_of(our_times), median_of(vendor_times),
                          vendor.before_sm90 ? vendor.us_before_sm90 : unknown, bound};
  context.groups[group].push_back(measured);
  state.counters["ours_us"] = measured.ours_us;
  if (vendor.of_all) {
    state.counters["vendor_us"] = measured.vendor_us;
    state.counters["ratio"] = measured.vendor_us / measured.ours_us;
    state.SetLabel(vendor.of_all->name + ", best of " + std::to_string(vendor.tried));
  }
  if (vendor.before_sm90) state.counters["ratio_before_sm90"] = measured.before_sm90_us / measured.ours_us;
  if (bound > 0) state.counters["roofline"] = bound / measured.ours_us;
  return measured;
}

bool passes(benchmark::State& state, const char* whose, double error, double allowed) {
  if (error <= allowed) return true;
  const std::string message =
      std::string(whose) + " result is wrong: error " + std::to_string(error) + ", allowed " + std::to_string(allowed);
  state.SkipWithError(message.c_str());
  return false;
}

void add_means(Context& context) {
  ::benchmark::RegisterBenchmark("geometric_means", [&context](::benchmark::State& state) {
    for (auto _ : state) {
    }
    for (const auto& [group, rows] : context.groups) {
      const auto mean = [&](const std::string& what, auto ratio) {
        std::vector<double> values;
        for (const Measured& row : rows)
          if (const double value = ratio(row); value > 0) values.push_back(value);
        if (!values.empty()) state.counters[group + "/" + what] = geometric_mean(values);
      };
      mean("ratio", [](const Measured& m) { return m.vendor_us / m.ours_us; });
      mean("ratio_before_sm90", [](const Measured& m) { return m.before_sm90_us / m.ours_us; });
      mean("roofline", [](const Measured& m) { return m.bound_us / m.ours_us; });
    }
  })->Iterations(1);
}

namespace {

/// A residual network: stem, then per stage blocks of 3x3 convolutions, or of 1x1, 3x3, 1x1 (bottleneck).
std::vector<Conv2dShape> network(int views, int size, bool bottleneck, std::vector<Conv2dShape>* norms) {
  std::vector<Conv2dShape> layers;
  const auto add = [&](int h, int c, int k, int kernel, int stride) {
    const Conv2dShape shape{views, h, h, c, k, kernel, kernel, stride, kernel / 2};
    if (std::find(layers.begin(), layers.end(), shape) == layers.end()) layers.push_back(shape);
    const Conv2dShape image{views, shape.out_h(), shape.out_h(), k, k, 1, 1, 1, 0};
    if (std::find(norms->begin(), norms->end(), image) == norms->end()) norms->push_back(image);
    return shape.out_h();
  };
  int h = size < 64 ? add(size, 3, 64, 3, 1) : (add(size, 3, 64, 7, 2) + 1) / 2, c = 64;
  for (int stage = 0; stage < 4; ++stage)
    for (int block = 0; block < 2; ++block) {  // later blocks repeat the second
      const int width = 64 << stage, k = bottleneck ? 4 * width : width, stride = stage > 0 && block == 0 ? 2 : 1;
      const int before = h;
      if (bottleneck) {
        add(h, c, width, 1, 1);
        h = add(h, width, width, 3, stride);
        add(h, width, k, 1, 1);
      } else {
        h = add(h, c, width, 3, stride);
        add(h, width, width, 3, 1);
      }
      if (stride != 1 || c != k) add(before, c, k, 1, stride);
      c = k;
    }
  return layers;
}

struct Network {
  const char* name;
  int views, size;
  bool bottleneck;
};
constexpr Network networks[] = {
    {"resnet18-cifar", 1024, 32, false}, {"resnet50", 256, 224, true}, {"resnet50", 512, 224, true}};

std::vector<NamedConv> named(bool norms_wanted) {
  std::vector<NamedConv> found;
  for (const Network& n : networks) {
    std::vector<Conv2dShape> norms;
    const std::vector<Conv2dShape> layers = network(n.views, n.size, n.bottleneck, &norms);
    for (const Conv2dShape& shape : norms_wanted ? norms : layers)
      found.push_back({std::string(n.name) + "-" + std::to_string(n.views), shape});
  }
  return found;
}

}  // namespace

std::vector<NamedConv> network_convolutions() { return named(false); }
std::vector<NamedConv> network_norms() { return named(true); }

}  // namespace kagami::bench
