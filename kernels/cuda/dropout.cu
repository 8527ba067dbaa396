// A thread draws one block of random numbers: it decides about four neighbours.
#include "kernels/dropout.h"

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/pack.cuh"

namespace kagami {
namespace {

constexpr int together = 4;  // random words of a block

/// Aligned: whether groups of four travel as one access.
template <class T, bool Aligned>
__global__ void dropout_kernel(Philox stream, const StepScalars* step, std::uint32_t threshold, float factor,
                               std::int64_t count, const T* from, T* to, Accumulate accumulate) {
  const Philox random = of_step(stream, step);
  using Pack = cuda::Pack<T, together>;
  const std::int64_t blocks = (count + together - 1) / together;
  for (std::int64_t block = cuda::first_element(); block < blocks; block += cuda::element_step()) {
    const PhiloxWords words = random.block(static_cast<std::uint32_t>(block));
    const auto dropped = [&](T value, int k) {
      return dropout_keeps(words[k], threshold) ? static_cast<float>(value) * factor : 0.0F;
    };
    const std::int64_t first = block * together;
    if (Aligned && first + together <= count) {
      const Pack values = cuda::pack_at<together>(from + first);
      Pack result;
      if (accumulate == Accumulate::yes) result = cuda::pack_at<together>(to + first);
#pragma unroll
      for (int k = 0; k < together; ++k) cuda::put(result[k], dropped(values[k], k), accumulate);
      cuda::pack_at<together>(to + first) = result;
    } else {
#pragma unroll
      for (int k = 0; k < together; ++k)
        if (first + k < count) cuda::put(to[first + k], dropped(from[first + k], k), accumulate);
    }
  }
}

}  // namespace

template <class T>
void dropout(Cuda device, const Philox& random, double probability, std::int64_t count, const T* from, T* to,
             Accumulate accumulate, const StepScalars* step) {
  const auto factor = static_cast<float>(1 / (1 - probability));
  const std::int64_t blocks = (count + together - 1) / together;
  const std::uint32_t threshold = dropout_threshold(probability);
  if (cuda::on_boundary(from, together) && cuda::on_boundary(to, together))
    return cuda::launch_elements<dropout_kernel<T, true>>(device, blocks, random, step, threshold, factor, count, from,
                                                          to, accumulate);
  cuda::launch_elements<dropout_kernel<T, false>>(device, blocks, random, step, threshold, factor, count, from, to,
                                                  accumulate);
}

template void dropout(Cuda, const Philox&, double, std::int64_t, const float*, float*, Accumulate, const StepScalars*);
template void dropout(Cuda, const Philox&, double, std::int64_t, const bf16*, bf16*, Accumulate, const StepScalars*);

}  // namespace kagami
