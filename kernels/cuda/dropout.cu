// A thread draws one block of random numbers: it decides about four neighbours.
#include "kernels/dropout.h"

#include "kernels/cuda/elements.cuh"

namespace kagami {
namespace {

template <class T>
__global__ void dropout_kernel(Philox random, std::uint32_t threshold, float factor, std::int64_t count, const T* from,
                               T* to, Accumulate accumulate) {
  constexpr int together = 4;
  const std::int64_t blocks = (count + together - 1) / together;
  for (std::int64_t block = cuda::first_element(); block < blocks; block += cuda::element_step()) {
    const PhiloxWords words = random.block(static_cast<std::uint32_t>(block));
#pragma unroll
    for (int k = 0; k < together; ++k) {
      const std::int64_t i = block * together + k;
      if (i >= count) continue;
      const bool kept = dropout_keeps(words[k], threshold);
      cuda::put(to[i], kept ? static_cast<float>(from[i]) * factor : 0.0F, accumulate);
    }
  }
}

}  // namespace

template <class T>
void dropout(Cuda device, const Philox& random, double probability, std::int64_t count, const T* from, T* to,
             Accumulate accumulate) {
  const auto factor = static_cast<float>(1 / (1 - probability));
  cuda::launch_elements<dropout_kernel<T>>(device, (count + 3) / 4, random, dropout_threshold(probability), factor,
                                           count, from, to, accumulate);
}

template void dropout(Cuda, const Philox&, double, std::int64_t, const float*, float*, Accumulate);
template void dropout(Cuda, const Philox&, double, std::int64_t, const bf16*, bf16*, Accumulate);

}  // namespace kagami
