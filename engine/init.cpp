#include "engine/init.h"

#include <cmath>

#include "engine/dispatch.h"
#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"

namespace kagami {
namespace {

/// FNV-1a, 64 bits: part of what a seed means, so it is spelled out here.
std::uint64_t hash(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325U;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return h;
}

/// Two values of the rule from one block of random words.
Vec<double, 2> draw(const Init& init, const PhiloxWords& words) {
  const double a = unit_double(std::uint64_t{words[0]} << 32 | words[1]);
  const double b = unit_double(std::uint64_t{words[2]} << 32 | words[3]);
  if (init.kind == Init::Kind::uniform) return {{init.scale * (2 * a - 1), init.scale * (2 * b - 1)}};
  const double radius = init.scale * std::sqrt(-2 * std::log(1 - a)), angle = 6.283185307179586 * b;
  return {{radius * std::cos(angle), radius * std::sin(angle)}};
}

}  // namespace

Init Init::kaiming_normal_fan_out(const Shape& krsc) {
  check(krsc.rank() == 4 && krsc.numel() > 0, "kaiming_normal_fan_out: needs a shape [k,r,s,c], not ", krsc);
  return normal(std::sqrt(2.0 / static_cast<double>(krsc[0] * krsc[1] * krsc[2])));
}

Init Init::linear_default(std::int64_t inputs) {
  check(inputs > 0, "linear_default: needs at least one input, not ", inputs);
  return uniform(1 / std::sqrt(static_cast<double>(inputs)));
}

void initialize(const Tensor& tensor, const Init& init, std::uint64_t seed, std::string_view name) {
  if (init.kind == Init::Kind::constant) return tensor.fill(init.scale);
  if (!tensor.device().is_cpu()) {  // the same values everywhere: drawn on the host
    const Tensor drawn = Tensor::empty(tensor.shape(), tensor.dtype(), Device::cpu());
    initialize(drawn, init, seed, name);
    return tensor.copy_from(drawn);
  }
  const std::uint64_t h = hash(name);
  const Philox random(seed, Purpose::initialization, static_cast<std::uint32_t>(h), static_cast<std::uint32_t>(h >> 32),
                      0);
  dispatch("initialize", tensor, [&](Cpu, auto zero) {
    using T = decltype(zero);
    T* values = tensor.data<T>();
    const std::int64_t count = tensor.numel();
    cpu::parallel_for((count + 1) / 2, 4096, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t pair = first; pair < last; ++pair) {
        const Vec<double, 2> drawn = draw(init, random.block(static_cast<std::uint32_t>(pair)));
        for (std::int64_t i = 2 * pair; i < std::min(2 * pair + 2, count); ++i)
          values[i] = static_cast<T>(drawn[static_cast<int>(i & 1)]);
      }
    });
  });
}

}  // namespace kagami
