// Our CUDA kernels beside the vendor's, row by row: every distinct layer of ResNet-18 for CIFAR and of ResNet-50, or
// the shapes that are given. Options stand beside Google Benchmark's own (--benchmark_filter, --benchmark_out, ...):
//
//   kernels_vs_vendor [--conv n,h,w,c,k,r,s,stride,pad]... [--bn n,h,w,c]... [--matmul m,n,k]...
//                     [--dtype bf16,tf32,fp32] [--rounds N] [--peak TFLOPS,TFLOPS,TFLOPS] [--device N]
//
// --peak: what the device computes in bf16, tf32, fp32; without it cuBLASLt's fastest product of 8192 x 8192 matrices
// says that. bench/README.md explains the columns.
#include <algorithm>
#include <charconv>
#include <iostream>
#include <limits>
#include <sstream>

#include "bench/vendor/cases.h"
#include "engine/error.h"

namespace kagami::bench {
namespace {

struct Options {
  std::vector<NamedConv> convolutions, norms;
  std::vector<ProductSize> products;
  std::vector<Arithmetic> arithmetics{Arithmetic::bf16, Arithmetic::tf32, Arithmetic::fp32};
  std::vector<double> peak;
  int rounds = 15, device = 0;
  bool shapes_given() const { return !convolutions.empty() || !norms.empty() || !products.empty(); }
};

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

/// The `count` numbers of a list, each from `least` to `most`; of int, whole ones.
template <class T>
std::vector<T> numbers(const std::string& option, const std::string& list, std::size_t count, T least,
                       T most = std::numeric_limits<T>::max()) {
  std::vector<T> values;
  for (const std::string& part : parts_of(list)) {
    T value{};
    const char* const end = part.data() + part.size();
    const auto [stopped, error] = std::from_chars(part.data(), end, value);
    check(error == std::errc{} && stopped == end && value >= least && value <= most, "kernels_vs_vendor: ", option, " ",
          list, ": '", part, "' is no ", std::is_integral_v<T> ? "whole " : "", "number from ", least, " to ", most);
    values.push_back(value);
  }
  check(values.size() == count, "kernels_vs_vendor: ", option, " ", list, ": expected ", count, " numbers, found ",
        values.size());
  return values;
}

Conv2dShape convolution(const std::string& list) {
  const std::vector<int> v = numbers("--conv", list, 9, 0);
  const Conv2dShape s{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]};
  const std::int64_t padding = std::int64_t{2} * s.pad;
  check(std::min({s.n, s.h, s.w, s.c, s.k, s.r, s.s, s.stride}) > 0 && s.h + padding >= s.r && s.w + padding >= s.s,
        "kernels_vs_vendor: --conv ", list,
        ": n,h,w,c,k,r,s,stride,pad must be positive (pad: or 0), and the padded "
        "image as large as the kernel");
  return s;
}

std::vector<Arithmetic> arithmetics(const std::string& list) {
  std::vector<Arithmetic> found;
  for (const std::string& part : parts_of(list)) {
    const auto all = {Arithmetic::bf16, Arithmetic::tf32, Arithmetic::fp32};
    const auto* at = std::find_if(all.begin(), all.end(), [&](Arithmetic a) { return name_of(a) == part; });
    check(at != all.end(), "kernels_vs_vendor: --dtype ", list, ": '", part, "' is none of bf16, tf32, fp32");
    found.push_back(*at);
  }
  return found;
}

void set(Options& options, const std::string& name, const std::string& value) {
  if (name == "--conv") {
    options.convolutions.push_back({"given", convolution(value)});
  } else if (name == "--bn") {
    const std::vector<int> v = numbers(name, value, 4, 1);
    check(std::max({v[0], v[1], v[2]}) > 1, "kernels_vs_vendor: --bn ", value, ": n,h,w must be more than one pixel");
    options.norms.push_back({"given", {v[0], v[1], v[2], v[3], v[3], 1, 1, 1, 0}});
  } else if (name == "--matmul") {
    const std::vector<int> v = numbers(name, value, 3, 1);
    options.products.push_back({v[0], v[1], v[2]});
  } else if (name == "--dtype") {
    options.arithmetics = arithmetics(value);
  } else if (name == "--peak") {
    options.peak = numbers(name, value, 3, 0.0, 1e6);
  } else if (name == "--rounds") {
    options.rounds = numbers(name, value, 1, 1)[0];
  } else if (name == "--device") {
    options.device = numbers(name, value, 1, 0)[0];
  } else {
    check(false, "kernels_vs_vendor: unknown option ", name,
          "; it takes --conv, --bn, --matmul, --dtype, --rounds, --peak, --device and --benchmark_...");
  }
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    check(i + 1 < argc, "kernels_vs_vendor: ", argv[i], " needs a value");
    set(options, argv[i], argv[i + 1]);
  }
  return options;
}

/// What the device computes, by cuBLASLt's fastest product of large matrices.
void measure_ceilings(Context& context, const Options& options) {
  if (!options.peak.empty()) {
    for (const auto& [arithmetic, at] : {std::pair{Arithmetic::bf16, 0}, {Arithmetic::tf32, 1}, {Arithmetic::fp32, 2}})
      context.ceilings.tflops[static_cast<int>(arithmetic)] = options.peak[static_cast<std::size_t>(at)];
  } else if (context.cublaslt) {
    constexpr int n = 8192;
    for (const Arithmetic arithmetic : options.arithmetics)
      with_element(arithmetic, [&]<class T>() {
        const RandomValues<T> a(context.device, std::size_t{n} * n, 1, 0), b(context.device, std::size_t{n} * n, 1, 9);
        const Memory<T> c(context.device, std::size_t{n} * n);
        const MatmulShape shape{.m = n, .n = n, .k = n, .lda = n, .ldb = n, .ldc = n};
        const Fastest best = fastest(
            context.stopwatch, context.cublaslt->matmul({shape, false, true, arithmetic, arithmetic != Arithmetic::bf16,
                                                         a.data(), b.data(), c.data()}));
        if (best.of_all) context.ceilings.tflops[static_cast<int>(arithmetic)] = 2.0 * n * n * n / best.us * 1e-6;
      });
  }
}

void load_libraries(Context& context) {
  std::string why;
  context.cudnn = Cudnn::load(context.device, &why);
  benchmark::AddCustomContext("cudnn", context.cudnn ? context.cudnn->version() : "not used: " + why);
  context.cublaslt = CublasLt::load(context.device, &why);
  benchmark::AddCustomContext("cublaslt", context.cublaslt ? context.cublaslt->version() : "not used: " + why);
}

void add_rows(Context& context, const Options& options) {
  const bool given = options.shapes_given(), tiny = context.device.emulated();
  const std::vector<NamedConv> small{{"tiny", {2, 6, 6, 8, 16, 3, 3, 1, 1}}};
  const std::vector<NamedConv> convolutions = given ? options.convolutions : tiny ? small : network_convolutions();
  const std::vector<NamedConv> norms = given ? options.norms : tiny ? small : network_norms();
  std::vector<ProductSize> products = options.products;
  if (!given && tiny) products = {{24, 16, 40}};
  if (!given && !tiny)
    products = {{1024, 512, 512}, {1024, 128, 512},   {512, 2048, 2048},
                {512, 128, 2048}, {4096, 4096, 4096}, {8192, 8192, 8192}};
  for (const Arithmetic arithmetic : options.arithmetics) {
    for (const NamedConv& layer : convolutions) add_convolution(context, layer, arithmetic);
    for (const ProductSize& size : products) add_matmul(context, size, arithmetic);
    if (arithmetic != Arithmetic::tf32)  // nothing is multiplied in tf32 there
      for (const NamedConv& image : norms) add_batch_norm(context, image, arithmetic);
  }
  if (!given) add_flat(context, tiny);
  add_means(context);
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const Options options = parse(argc, argv);
  std::string why;
  if (Device::cuda_count(&why) == 0) {
    std::cerr << "kernels_vs_vendor: nothing to measure, there is no CUDA device: " << why << '\n';
    return 1;
  }
  Context context(Device::cuda(options.device));
  context.rounds = context.device.emulated() ? 1 : options.rounds;
  const cuda::DeviceProperties properties = cuda::properties(options.device);
  benchmark::AddCustomContext("device", properties.name);
  load_libraries(context);
  measure_ceilings(context, options);
  for (const Arithmetic arithmetic : options.arithmetics)
    benchmark::AddCustomContext(std::string("ceiling_") + name_of(arithmetic) + "_tflops",
                                std::to_string(context.ceilings.of(arithmetic)));
  if (!context.device.emulated())
    benchmark::AddCustomContext("copy_gb_per_second", std::to_string(context.copy_speed(1 << 30) * 1e-3));
  add_rows(context, options);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace kagami::bench

int main(int argc, char** argv) {
  try {
    return kagami::bench::run(argc, argv);
  } catch (const kagami::InputError& error) {
    std::cerr << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "kernels_vs_vendor: " << error.what() << '\n';
    return 1;
  }
}
