#include "apps/support/common_options.h"

#include <algorithm>
#include <iostream>

#include "engine/error.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/matmul_library.h"

namespace kagami::apps {

void ComputeOptions::declare(Options& options) {
  options.group("Computing");
  options.add("threads", threads, "N", "threads; 0: one per processor. Results do not depend on it").between(0, 1024);
  options.add("cpu", cpu, "NAME", "instruction set of the kernels").one_of({"auto", "baseline", "avx2", "avx512"});
  options.add("conv", conv, "NAME", "algorithm of convolutions").one_of({"auto", "direct", "winograd"});
}

void ComputeOptions::apply() const {
  try {
    kagami::cpu::set_isa(cpu);
  } catch (const std::invalid_argument& error) {
    check(false, "--cpu: ", error.what());
  }
  kagami::cpu::set_conv_algorithm(conv);
  kagami::cpu::set_threads(threads);
}

void DeviceOption::declare(Options& options) {
  options.add("device", name, "NAME", "where the network runs: auto (a GPU if there is one), cpu, cuda, cuda:N");
  options
      .add("matmul", matmul, "NAME",
           "CUDA: whose matrix products: own, or NVIDIA's cuBLASLt to compare with (convolutions are always our own)")
      .one_of({"own", "cublas"});
  options
      .add("precision", precision, "NAME",
           "of activations and products: bf16 (parameters, statistics and losses stay fp32), tf32 (products only), "
           "fp32 (exact); auto: bf16 on a GPU, fp32 on the CPU")
      .one_of({"auto", "bf16", "tf32", "fp32"});
}

Device DeviceOption::device() const {
  const Device device = device_named(name);
  take_matmul(matmul, device);
  return device;
}

Precision DeviceOption::precision_on(const Device& device) const { return precision_named(precision, device); }

Device device_named(const std::string& name) {
  if (name == "cpu") return Device::cpu();
  if (name == "auto") {
    if (std::string why; Device::cuda_count(&why) == 0) {
#if KAGAMI_HAS_CUDA  // a build without CUDA has nothing to say
      std::cerr << "Computes on the CPU: " << why << '\n';
#endif
      return Device::cpu();
    }
    const Device first = Device::cuda(0);
    return first.emulated() ? Device::cpu() : first;
  }
  const std::string prefix = "cuda:";
  const std::string number = name == "cuda" ? "0" : name.starts_with(prefix) ? name.substr(prefix.size()) : "";
  const bool sound = !number.empty() && number.size() < 4 &&
                     std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  check(sound, "--device ", name, ": use auto, cpu, cuda or cuda:N");
  return Device::cuda(std::stoi(number));
}

void take_matmul(const std::string& name, const Device& device) {
  try {
    set_matmul(name);
  } catch (const std::invalid_argument& error) {
    check(false, "--matmul: ", error.what());
  }
  check(name == "own" || !device.is_cpu(), "--matmul ", name,
        ": needs a CUDA device, and this computes on the CPU; leave it out");
}

Precision precision_named(const std::string& name, const Device& device) {
  if (name == "fp32" || (name == "auto" && device.is_cpu())) return DType::f32;
  check(name == "auto" || name == "bf16" || name == "tf32", "--precision ", name, ": use auto, bf16, tf32 or fp32");
  check(!device.is_cpu(), "--precision ", name, ": needs a CUDA device, and this computes on the CPU; use fp32");
  return name == "tf32" ? Precision::tf32_products() : Precision::mixed_bf16();
}

}  // namespace kagami::apps
