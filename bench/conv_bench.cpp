// One side of the comparison of convolutions: speaks the lock-step protocol of bench/README.md.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "engine/error.h"
#include "kernels/arena.h"
#include "kernels/conv2d.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

struct Request {
  std::string pass;
  Conv2dShape shape{};
};

Request parse(const std::string& line) {
  Request r;
  std::istringstream in(line);
  Conv2dShape& s = r.shape;
  in >> r.pass >> s.n >> s.h >> s.w >> s.c >> s.k >> s.r >> s.s >> s.stride >> s.pad;
  check(bool(in), "conv_bench: cannot read '", line, "': expected PASS n h w c k r s stride pad");
  check(r.pass == "forward" || r.pass == "dgrad" || r.pass == "wgrad", "conv_bench: unknown pass '", r.pass,
        "': use forward, dgrad or wgrad");
  return r;
}

/// Normally distributed; goes on with the first values again, which saves minutes.
void fill_normal(const Scratch<float>& values, unsigned seed) {
  constexpr std::size_t distinct = 1 << 16;
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = i < distinct ? distribution(generator) : values[i - distinct];
}

/// The operands of one layer, in memory as the engine hands it out.
struct Layer {
  explicit Layer(const Conv2dShape& s)
      : shape(s),
        x(&arena, std::size_t(s.n) * s.h * s.w * s.c),
        w(&arena, std::size_t(s.k) * s.r * s.s * s.c),
        y(&arena, std::size_t(s.n) * s.out_h() * s.out_w() * s.k) {
    fill_normal(x, 1);
    fill_normal(w, 2);
    fill_normal(y, 3);
  }

  void run(const std::string& pass) {
    const Cpu device{&arena};
    if (pass == "forward") {
      conv2d_forward(device, shape, x.data(), Weights<float>{w.data()}, y.data());
    } else if (pass == "dgrad") {
      conv2d_dgrad(device, shape, y.data(), Weights<float>{w.data()}, x.data(), Accumulate::no);
    } else {
      conv2d_wgrad(device, shape, x.data(), y.data(), w.data(), Accumulate::no);
    }
  }
  double operations() const { return 2.0 * static_cast<double>(y.size()) * shape.r * shape.s * shape.c; }

  Conv2dShape shape;
  Arena arena;
  Scratch<float> x, w, y;
};

/// Seconds a call, over calls that fill `round_seconds`.
double measure(Layer& layer, const std::string& pass, double round_seconds) {
  using Clock = std::chrono::steady_clock;
  layer.run(pass);
  const auto start = Clock::now();
  double elapsed = 0;
  int calls = 0;
  do {
    layer.run(pass);
    ++calls;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  } while (elapsed < round_seconds);
  return elapsed / calls;
}

int serve(double round_seconds) {
  std::printf("{\"name\": \"kagami\", \"version\": \"0.1.0\", \"isa\": \"%s\", \"threads\": %d}\n",
              cpu::name_of(cpu::isa()), cpu::threads());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const Request request = parse(line);
    Layer layer(request.shape);
    const double seconds = measure(layer, request.pass, round_seconds);
    std::printf("{\"gflop_per_second\": %.6g, \"seconds\": %.9g}\n", layer.operations() / seconds * 1e-9, seconds);
    std::fflush(stdout);
  }
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  double round_seconds = 0.2;
  bool round = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--round") {
      round = true;
      continue;
    }
    check(i + 1 < arguments.size(), "conv_bench: ", name, " needs a value");
    const std::string& value = arguments[++i];
    if (name == "--threads") {
      cpu::set_threads(std::stoi(value));
    } else if (name == "--cpu") {
      cpu::set_isa(std::string_view(value));
    } else if (name == "--conv") {
      cpu::set_conv_algorithm(value);
    } else if (name == "--round-seconds") {
      round_seconds = std::stod(value);
    } else {
      check(false, "conv_bench: unknown option ", name);
    }
  }
  check(round, "conv_bench: one side of bench/peers/side_by_side.py conv; conv2d_bench stands alone. Give --round");
  return serve(round_seconds);
}

}  // namespace
}  // namespace kagami

int main(int argc, char** argv) {
  try {
    return kagami::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}
