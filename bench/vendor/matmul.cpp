// Rows of matrix products: a linear layer y = x W^T, its input's gradient dy W and its weights' gradient dy^T x.
#include "bench/vendor/cases.h"

namespace kagami::bench {
namespace {

/// C = op(A) op(B), tightly stored.
struct Product {
  MatmulShape shape;
  bool transpose_a, transpose_b;
};
Product product(const ProductSize& s, Pass pass) {
  switch (pass) {
    case Pass::forward:
      return {{.m = s.m, .n = s.n, .k = s.k, .lda = s.k, .ldb = s.k, .ldc = s.n}, false, true};
    case Pass::dgrad:
      return {{.m = s.m, .n = s.k, .k = s.n, .lda = s.n, .ldb = s.k, .ldc = s.k}, false, false};
    case Pass::wgrad:
      break;
  }
  return {{.m = s.n, .n = s.k, .k = s.m, .lda = s.n, .ldb = s.k, .ldc = s.k}, true, false};
}

/// Out: float for a weight gradient, else T.
template <class T, class Out>
void run_row(benchmark::State& state, Context& context, const Product& p, const std::string& group,
             Arithmetic arithmetic) {
  const MatmulShape& s = p.shape;
  const std::size_t m = std::size_t(s.m), n = std::size_t(s.n), k = std::size_t(s.k);
  const RandomValues<T> a(context.device, m * k, 1, 0), b(context.device, k * n, 1 / std::sqrt(float(s.k)), 1000);
  const Memory<Out> c(context.device, m * n);
  const Samples exact(m * n, double(s.k), [&](std::size_t at) {
    double sum = 0;
    for (std::size_t i = 0; i < k; ++i)
      sum += a[p.transpose_a ? i * m + at / n : at / n * k + i] * b[p.transpose_b ? at % n * k + i : i * n + at % n];
    return sum;
  });
  const double allowed = tolerance(arithmetic, std::is_same_v<Out, float>);
  const Cuda device = launcher(context.device, arithmetic);
  const Work ours = [&] {
    matmul(device, s, p.transpose_a, p.transpose_b, a.data(), b.data(), c.data(), Accumulate::no);
  };
  c.poison();
  ours();
  if (!passes(state, "our", exact.error(c), allowed)) return;
  Fastest vendor;
  if (context.cublaslt) {
    vendor = fastest(context.stopwatch,
                     context.cublaslt->matmul({s, p.transpose_a, p.transpose_b, arithmetic, std::is_same_v<Out, float>,
                                               a.data(), b.data(), c.data()}));
    if (vendor.of_all) {
      c.poison();
      vendor.of_all->run();
      if (!passes(state, "cuBLASLt's", exact.error(c), allowed)) return;
    }
  }
  const double operations = 2.0 * double(m) * double(n) * double(k);
  const double bytes = double(m * k + k * n) * sizeof(T) + double(m * n) * sizeof(Out);
  const Measured measured =
      report(state, context, group, ours, vendor, bound_us(context, arithmetic, operations, bytes));
  state.counters["TFLOP/s"] = operations / measured.ours_us * 1e-6;
}

}  // namespace

void add_matmul(Context& context, const ProductSize& size, Arithmetic arithmetic) {
  for (const Pass pass : all_passes) {
    const std::string group = "matmul/" + std::string(name_of(arithmetic)) + "/" + name_of(pass);
    const std::string name =
        group + "/" + std::to_string(size.m) + "x" + std::to_string(size.n) + "x" + std::to_string(size.k);
    add_row(context, name, [=, &context](benchmark::State& state) {
      with_element(arithmetic, [&]<class T>() {
        if (pass == Pass::wgrad)
          run_row<T, float>(state, context, product(size, pass), group, arithmetic);
        else
          run_row<T, T>(state, context, product(size, pass), group, arithmetic);
      });
    });
  }
}

}  // namespace kagami::bench
