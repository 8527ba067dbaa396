// Rows of convolutions.
#include "bench/vendor/cases.h"

namespace kagami::bench {
namespace {

std::string title(const NamedConv& layer, Pass pass, Arithmetic arithmetic) {
  const Conv2dShape& s = layer.shape;
  const auto t = [](int v) { return std::to_string(v); };
  return "conv/" + std::string(name_of(arithmetic)) + "/" + name_of(pass) + "/" + layer.name + "/" + t(s.n) + "x" +
         t(s.h) + "x" + t(s.w) + "x" + t(s.c) + "_" + t(s.k) + "x" + t(s.r) + "x" + t(s.s) + "_s" + t(s.stride) + "p" +
         t(s.pad);
}

template <class T>
struct Operands {
  Operands(const Device& device, const Conv2dShape& s, Pass pass)
      : shape(s),
        inputs(std::size_t(s.n) * s.h * s.w * s.c),
        weights(std::size_t(s.k) * s.r * s.s * s.c),
        outputs(std::size_t(s.n) * s.out_h() * s.out_w() * s.k),
        x(device, pass == Pass::dgrad ? 0 : inputs, 1, 0),
        w(device, pass == Pass::wgrad ? 0 : weights, 1 / std::sqrt(float(s.r * s.s * s.c)), 1000),
        dy(device, pass == Pass::forward ? 0 : outputs, 1, 2000),
        result(device, pass == Pass::forward ? outputs
                       : pass == Pass::dgrad ? inputs
                                             : 0),
        dw(device, pass == Pass::wgrad ? weights : 0),
        vendor_dw(device, pass == Pass::wgrad ? weights : 0) {}

  void run(const Cuda& device, Pass pass) const {
    if (pass == Pass::forward)
      conv2d_forward(device, shape, x.data(), Weights<T>{w.data()}, result.data());
    else if (pass == Pass::dgrad)
      conv2d_dgrad(device, shape, dy.data(), Weights<T>{w.data()}, result.data(), Accumulate::no);
    else
      conv2d_wgrad(device, shape, x.data(), dy.data(), dw.data(), Accumulate::no);
  }
  ConvOperands pointers(Pass pass) const {
    return {pass == Pass::dgrad ? result.data() : x.data(), w.data(), pass == Pass::forward ? result.data() : dy.data(),
            dw.data()};
  }
  double operations() const { return 2.0 * static_cast<double>(outputs) * shape.r * shape.s * shape.c; }
  /// Every operand once; gradients of weights are floats.
  double bytes(Pass pass) const {
    return static_cast<double>(inputs + outputs) * sizeof(T) +
           static_cast<double>(weights) * (pass == Pass::wgrad ? sizeof(float) : sizeof(T));
  }

  Conv2dShape shape;
  std::size_t inputs, weights, outputs;
  RandomValues<T> x, w, dy;
  Memory<T> result;
  Memory<float> dw;
  Memory<T> vendor_dw;
};

/// Whether output row p reads input row h through tap r; the row then.
struct Reach {
  int stride, pad;
  bool input_of(int p, int r, int extent, int* h) const {
    *h = p * stride + r - pad;
    return *h >= 0 && *h < extent;
  }
  bool output_of(int h, int r, int extent, int* p) const {
    const int shifted = h + pad - r;
    *p = shifted / stride;
    return shifted >= 0 && shifted % stride == 0 && *p < extent;
  }
};

template <class T>
double exact_forward(const Operands<T>& o, std::size_t at) {
  const Conv2dShape& s = o.shape;
  const Reach reach{s.stride, s.pad};
  const int k = int(at % s.k), q = int(at / s.k % s.out_w()), p = int(at / s.k / s.out_w() % s.out_h());
  const std::size_t n = at / s.k / s.out_w() / s.out_h();
  double sum = 0;
  for (int r = 0, h = 0; r < s.r; ++r)
    for (int t = 0, w = 0; t < s.s; ++t)
      if (reach.input_of(p, r, s.h, &h) && reach.input_of(q, t, s.w, &w))
        for (int c = 0; c < s.c; ++c)
          sum += o.x[((n * s.h + h) * s.w + w) * s.c + c] * o.w[((std::size_t(k) * s.r + r) * s.s + t) * s.c + c];
  return sum;
}

template <class T>
double exact_dgrad(const Operands<T>& o, std::size_t at) {
  const Conv2dShape& s = o.shape;
  const Reach reach{s.stride, s.pad};
  const int c = int(at % s.c), w = int(at / s.c % s.w), h = int(at / s.c / s.w % s.h);
  const std::size_t n = at / s.c / s.w / s.h;
  double sum = 0;
  for (int r = 0, p = 0; r < s.r; ++r)
    for (int t = 0, q = 0; t < s.s; ++t)
      if (reach.output_of(h, r, s.out_h(), &p) && reach.output_of(w, t, s.out_w(), &q))
        for (int k = 0; k < s.k; ++k)
          sum += o.dy[((n * s.out_h() + p) * s.out_w() + q) * s.k + k] *
                 o.w[((std::size_t(k) * s.r + r) * s.s + t) * s.c + c];
  return sum;
}

template <class T>
double exact_wgrad(const Operands<T>& o, std::size_t at) {
  const Conv2dShape& s = o.shape;
  const Reach reach{s.stride, s.pad};
  const int c = int(at % s.c), t = int(at / s.c % s.s), r = int(at / s.c / s.s % s.r);
  const int k = int(at / s.c / s.s / s.r);
  double sum = 0;
  for (std::size_t n = 0; n < std::size_t(s.n); ++n)
    for (int p = 0, h = 0; p < s.out_h(); ++p) {
      if (!reach.input_of(p, r, s.h, &h)) continue;
      for (int q = 0, w = 0; q < s.out_w(); ++q)
        if (reach.input_of(q, t, s.w, &w))
          sum += o.x[((n * s.h + h) * s.w + w) * s.c + c] * o.dy[((n * s.out_h() + p) * s.out_w() + q) * s.k + k];
    }
  return sum;
}

template <class T>
Samples samples(const Operands<T>& o, Pass pass) {
  const Conv2dShape& s = o.shape;
  if (pass == Pass::forward)
    return {o.outputs, double(s.r) * s.s * s.c, [&](std::size_t at) { return exact_forward(o, at); }};
  if (pass == Pass::dgrad)
    return {o.inputs, double(s.r) * s.s * s.k, [&](std::size_t at) { return exact_dgrad(o, at); }};
  return {o.weights, double(s.n) * s.out_h() * s.out_w(), [&](std::size_t at) { return exact_wgrad(o, at); }};
}

template <class T>
void run_row(benchmark::State& state, Context& context, const NamedConv& layer, Pass pass, Arithmetic arithmetic) {
  const Operands<T> operands(context.device, layer.shape, pass);
  const Samples exact = samples(operands, pass);
  const Cuda device = launcher(context.device, arithmetic);
  const Work ours = [&] { operands.run(device, pass); };
  operands.result.poison(), operands.dw.poison();
  ours();
  const double error = pass == Pass::wgrad ? exact.error(operands.dw) : exact.error(operands.result);
  if (!passes(state, "our", error, tolerance(arithmetic, pass == Pass::wgrad))) return;
  Fastest vendor;
  if (context.cudnn) {
    vendor =
        fastest(context.stopwatch, context.cudnn->convolution(layer.shape, pass, arithmetic, operands.pointers(pass)));
    if (vendor.of_all) {
      operands.result.poison(), operands.vendor_dw.poison();
      vendor.of_all->run();
      const double error = pass == Pass::wgrad ? exact.error(operands.vendor_dw) : exact.error(operands.result);
      // Its algorithms may round more often than ours.
      if (!passes(state, "cuDNN's", error, 4 * tolerance(arithmetic, false))) return;
    }
  }
  const double bound = bound_us(context, arithmetic, operands.operations(), operands.bytes(pass));
  const Measured measured =
      report(state, context, "conv/" + std::string(name_of(arithmetic)) + "/" + name_of(pass), ours, vendor, bound);
  state.counters["TFLOP/s"] = operands.operations() / measured.ours_us * 1e-6;
}

}  // namespace

void add_convolution(Context& context, const NamedConv& layer, Arithmetic arithmetic) {
  for (const Pass pass : all_passes) {
    if (pass == Pass::dgrad && layer.shape.c == 3) continue;  // the image needs no gradient
    add_row(context, title(layer, pass, arithmetic), [=, &context](benchmark::State& state) {
      with_element(arithmetic, [&]<class T>() { run_row<T>(state, context, layer, pass, arithmetic); });
    });
  }
}

}  // namespace kagami::bench
