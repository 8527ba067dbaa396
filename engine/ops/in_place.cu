#include "engine/in_place.h"

#include <algorithm>

#include "engine/dispatch.h"
#include "engine/elementwise.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace {

template <class To, class From>
KAGAMI_HD To converted(From value) {
  if constexpr (std::is_same_v<From, bf16>) {
    return converted<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return bf16(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

template <class T>
void fill(Cpu, T* to, T value, std::int64_t count) {
  std::fill_n(to, count, value);
}
template <class From, class To>
void convert(Cpu, const From* from, To* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = converted<To>(from[i]);
}
template <class T>
void add(Cpu, T* to, const T* from, std::int64_t count) {
  cpu::parallel_for(count, 1 << 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) to[i] += from[i];
  });
}

#if KAGAMI_HAS_CUDA
template <class T>
__global__ void fill_kernel(T* to, T value, std::int64_t count) {
  for (std::int64_t i = cuda::first_element(); i < count; i += cuda::element_step()) to[i] = value;
}
template <class From, class To>
__global__ void convert_kernel(const From* from, To* to, std::int64_t count) {
  for (std::int64_t i = cuda::first_element(); i < count; i += cuda::element_step()) to[i] = converted<To>(from[i]);
}
template <class T>
__global__ void add_kernel(T* to, const T* from, std::int64_t count) {
  for (std::int64_t i = cuda::first_element(); i < count; i += cuda::element_step())
    cuda::put(to[i], Wide<T>(from[i]), Accumulate::yes);
}

template <class T>
void fill(const Cuda& device, T* to, T value, std::int64_t count) {
  cuda::launch_elements<fill_kernel<T>>(device, count, to, value, count);
}
template <class From, class To>
void convert(const Cuda& device, const From* from, To* to, std::int64_t count) {
  cuda::launch_elements<convert_kernel<From, To>>(device, count, from, to, count);
}
template <class T>
void add(const Cuda& device, T* to, const T* from, std::int64_t count) {
  cuda::launch_elements<add_kernel<T>>(device, count, to, from, count);
}
#endif

}  // namespace

void fill_values(const Tensor& to, double value) {
  dispatch_any(to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    on_device(to, [&](auto device) { fill(device, to.data<T>(), converted<T>(value), to.numel()); });
  });
}

void convert_values(const Tensor& from, const Tensor& to) {
  dispatch_any(from.dtype(), [&](auto source) {
    dispatch_any(to.dtype(), [&](auto zero) {
      using From = decltype(source);
      using To = decltype(zero);
      on_device(to, [&](auto device) { convert(device, from.data<From>(), to.data<To>(), to.numel()); });
    });
  });
}

void add_values(const Tensor& to, const Tensor& from) {
  dispatch("backward", to, [&](auto device, auto zero) {
    using T = decltype(zero);
    add(device, to.data<T>(), from.data<T>(), to.numel());
  });
}

}  // namespace kagami
