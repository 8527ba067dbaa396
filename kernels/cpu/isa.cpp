#include "kernels/cpu/isa.h"

#include <fstream>
#include <stdexcept>
#include <string>

namespace kagami::cpu {
namespace {

bool supported(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
  }
  return false;
#else
  return isa == Isa::baseline;
#endif
}

Isa best() {
  if (supported(Isa::avx512)) return Isa::avx512;
  return supported(Isa::avx2) ? Isa::avx2 : Isa::baseline;
}

Isa& current() {
  static Isa isa = best();
  return isa;
}

}  // namespace

Isa isa() { return current(); }

void set_isa(Isa isa) {
  if (!supported(isa)) {
    throw std::invalid_argument(std::string("this processor has no ") + name_of(isa) + " (" + processor_name() +
                                "); use auto");
  }
  current() = isa;
}

void set_isa(std::string_view name) {
  if (name == "auto") return set_isa(best());
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (name == name_of(isa)) return set_isa(isa);
  throw std::invalid_argument("unknown instruction set '" + std::string(name) +
                              "': use auto, baseline, avx2 or avx512");
}

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "unknown";
}

const char* processor_name() {
  static const std::string name = [] {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
      if (line.rfind("model name", 0) == 0) {
        const auto colon = line.find(':');
        if (colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
      }
    return std::string("unknown processor");
  }();
  return name.c_str();
}

}  // namespace kagami::cpu
