// A thread checks an index. Which of several bad ones is reported depends on who comes first; whether one is does not.
#include "kernels/indices.h"

#include "kernels/cuda/elements.cuh"

namespace kagami {
namespace {

__global__ void check_indices_kernel(IndexRule rule, std::uint32_t site, std::int64_t count,
                                     const std::int32_t* indices, std::int32_t* kept, std::int32_t* valid,
                                     IndexFault* fault) {
  std::int32_t within = 0;
  for (std::int64_t i = cuda::first_element(); i < count; i += cuda::element_step()) {
    const std::int32_t index = indices[i];
    const bool good = index >= 0 && index < rule.extent, ignored = rule.ignores && index == rule.ignored;
    kept[i] = good && !ignored ? index : rule.substitute;
    within += good && !ignored;
    if (good || ignored || atomicCAS(&fault->site, std::uint32_t{0}, site) != 0) continue;
    fault->value = index;
    fault->position = i;
  }
  if (valid && within > 0) atomicAdd(valid, within);  // whole numbers: the order does not matter
}

__global__ void require_valid_kernel(std::uint32_t site, const std::int32_t* valid, IndexFault* fault) {
  if (*valid == 0 && atomicCAS(&fault->site, std::uint32_t{0}, site) == 0) fault->position = -1;
}

}  // namespace

void check_indices(Cuda device, const IndexRule& rule, std::uint32_t site, std::int64_t count,
                   const std::int32_t* indices, std::int32_t* kept, std::int32_t* valid, IndexFault* fault) {
  cuda::launch_elements<check_indices_kernel>(device, count, rule, site, count, indices, kept, valid, fault);
}

void require_valid(Cuda device, std::uint32_t site, const std::int32_t* valid, IndexFault* fault) {
  launch<require_valid_kernel>(device, dim3{1}, dim3{1}, 0, site, valid, fault);
}

}  // namespace kagami
