#pragma once
// The rows of kernels_vs_vendor: each checks its result, then times our kernel and the vendor's fastest in turns.
#include <map>

#include <benchmark/benchmark.h>

#include "bench/vendor/library.h"

namespace kagami::bench {

/// What a row has found; NaN where there is nothing to compare with.
struct Measured {
  double ours_us, vendor_us, before_sm90_us, bound_us;
};

/// Everything rows share.
struct Context {
  Device device;
  Stopwatch stopwatch;
  CopySpeed copy_speed;
  Ceilings ceilings;
  std::unique_ptr<Cudnn> cudnn;
  std::unique_ptr<CublasLt> cublaslt;
  int rounds = 15;
  std::map<std::string, std::vector<Measured>> groups;  ///< rows by what their geometric means are taken over

  explicit Context(const Device& d) : device(d), stopwatch(d), copy_speed(stopwatch) {}
};

/// Microseconds that nothing can go below: the longer of arithmetic and bytes. NaN where neither is known.
double bound_us(Context& context, Arithmetic arithmetic, double operations, double bytes);

/// Times ours and the vendor's (null: none) in turns, one pair for each of the benchmark's iterations, and sets the
/// row's counters.
Measured report(benchmark::State& state, Context& context, const std::string& group, const Work& ours,
                const Fastest& vendor, double bound);
/// Ends the row when an error is above what is allowed, or not a number.
bool passes(benchmark::State& state, const char* whose, double error, double allowed);

struct NamedConv {
  std::string name;
  Conv2dShape shape;
};
/// The distinct convolutions of ResNet-18 for CIFAR (1024 views) and of ResNet-50 at 224 px (256 and 512 views).
std::vector<NamedConv> network_convolutions();
/// The distinct images that are normalised there, [n,h,w,c] in a shape's first four numbers.
std::vector<NamedConv> network_norms();

void add_convolution(Context& context, const NamedConv& layer, Arithmetic arithmetic);
void add_batch_norm(Context& context, const NamedConv& image, Arithmetic arithmetic);
struct ProductSize {
  int m, n, k;
};
/// y = x W^T [m,n] and both gradients.
void add_matmul(Context& context, const ProductSize& size, Arithmetic arithmetic);
/// Augmentation, optimizers and the contrastive loss.
void add_flat(Context& context, bool tiny);
/// The last rows: geometric means of the groups.
void add_means(Context& context);

/// Registers a benchmark of `context.rounds` iterations.
template <class F>
void add_row(Context& context, const std::string& name, F run) {
  ::benchmark::RegisterBenchmark(name.c_str(),
                                 [run, &context](::benchmark::State& state) {
                                   try {
                                     run(state);
                                   } catch (const std::exception& error) {
                                     state.SkipWithError(error.what());
                                   }
                                 })
      ->UseManualTime()
      ->Iterations(context.rounds)
      ->Unit(::benchmark::kMicrosecond);
}

}  // namespace kagami::bench
