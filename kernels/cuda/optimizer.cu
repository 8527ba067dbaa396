// Updates of flat parameters. A block updates one chunk of one range; ranges travel as an argument of the kernel, so a
// recorded step needs no memory for them.
#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/optimizer_formula.h"

namespace kagami {
namespace {

constexpr int update_threads = 256;
constexpr std::int64_t chunk_elements = 8192;  // fixes the order of LARS's sums
constexpr int batch_ranges = 64;               // a launch's: kernels take 4 KB of arguments

struct RangeBatch {
  int count = 0;
  UpdateRange range[batch_ranges];
  std::int64_t first_block[batch_ranges + 1] = {};  ///< chunks of the ranges before
};

/// One block's chunk.
struct Chunk {
  int range;
  std::int64_t first, last;  ///< flat positions
};

__device__ Chunk own_chunk(const RangeBatch& batch) {
  const std::int64_t block = blockIdx.x;
  int low = 0, high = batch.count;  // the range is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (batch.first_block[middle] <= block) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const std::int64_t first = (block - batch.first_block[low]) * chunk_elements, count = batch.range[low].count;
  const std::int64_t last = first + chunk_elements < count ? first + chunk_elements : count;
  return {low, batch.range[low].offset + first, batch.range[low].offset + last};
}

/// Calls f(batch, blocks) for all ranges, up to batch_ranges at a time. Empty ranges are left out.
template <class F>
void for_batches(const UpdateRange* ranges, int range_count, F&& f) {
  RangeBatch batch;
  const auto flush = [&] {
    if (batch.count > 0) f(batch, static_cast<std::uint32_t>(batch.first_block[batch.count]));
    batch = {};
  };
  for (int r = 0; r < range_count; ++r) {
    if (ranges[r].count <= 0) continue;
    batch.range[batch.count] = ranges[r];
    const std::int64_t chunks = (ranges[r].count + chunk_elements - 1) / chunk_elements;
    batch.first_block[batch.count + 1] = batch.first_block[batch.count] + chunks;
    if (++batch.count == batch_ranges) flush();
  }
  flush();
}

__device__ void write(float* values, bf16* copy, std::int64_t i, float value) {
  values[i] = value;
  if (copy) copy[i] = bf16(value);
}

/// Where updated parameters go.
struct Written {
  float* p;
  bf16* copy;  ///< or null
  EmaTarget<float> target;

  /// The target's value, to be loaded with the parameter.
  __device__ float followed(std::int64_t i) const { return i < target.count ? target.values[i] : 0.0F; }
  __device__ void store(std::int64_t i, float value, const EmaRates<float>& ema, float followed) const {
    write(p, copy, i, value);
    if (i < target.count) write(target.values, target.copy, i, ema_step(ema, followed, value));
  }
};

struct Element {
  float p, g, v, followed;
};

__global__ void sgd_kernel(const __grid_constant__ RangeBatch batch, const StepScalars* scalars, SgdSettings settings,
                           Written to, const float* g, float* v) {
  const Chunk chunk = own_chunk(batch);
  const SgdRates<float> rates = sgd_rates<float>(*scalars, settings, batch.range[chunk.range]);
  const EmaRates<float> ema = ema_rates<float>(*scalars);
  cuda::for_block_elements<update_threads>(
      chunk.first, chunk.last,
      [&](std::int64_t i) {
        return Element{to.p[i], g[i], v[i], to.followed(i)};
      },
      [&](std::int64_t i, Element e) {
        sgd_step(rates, e.p, e.g, e.v);
        to.store(i, e.p, ema, e.followed);
        v[i] = e.v;
      });
}

using TwoSums = Vec<float, 2>;

/// Squares of one chunk of a parameter that LARS scales: of p, and of g or g + decay p.
__global__ void lars_norms_kernel(const __grid_constant__ RangeBatch batch, LarsSettings settings, const float* p,
                                  const float* g, TwoSums* chunk_sums) {
  const Chunk chunk = own_chunk(batch);
  const UpdateRange& range = batch.range[chunk.range];
  if (!range.scaled) return;
  const float decay = range.decay && settings.joint_norm ? static_cast<float>(settings.weight_decay) : 0.0F;
  cuda::CompensatedSum of_p, of_g;
  cuda::for_block_elements<update_threads>(
      chunk.first, chunk.last,
      [&](std::int64_t i) {
        return Vec<float, 2>{{p[i], g[i]}};
      },
      [&](std::int64_t, Vec<float, 2> pair) {
        const float slope = pair[1] + decay * pair[0];
        of_p.add(pair[0] * pair[0]);
        of_g.add(slope * slope);
      });
  const TwoSums sums = cuda::block_reduce<update_threads>(TwoSums{{of_p.total(), of_g.total()}}, cuda::Add{});
  if (threadIdx.x == 0) chunk_sums[blockIdx.x] = sums;
}

/// The sums of all chunks of a range, in the same order in every block. All threads take part.
__device__ TwoSums range_sums(const RangeBatch& batch, int range, const TwoSums* chunk_sums) {
  cuda::CompensatedSum of_p, of_g;
  for (std::int64_t c = batch.first_block[range] + threadIdx.x; c < batch.first_block[range + 1]; c += update_threads) {
    of_p.add(chunk_sums[c][0]);
    of_g.add(chunk_sums[c][1]);
  }
  return cuda::block_reduce<update_threads>(TwoSums{{of_p.total(), of_g.total()}}, cuda::Add{});
}

__global__ void lars_kernel(const __grid_constant__ RangeBatch batch, const StepScalars* scalars, LarsSettings settings,
                            const TwoSums* chunk_sums, Written to, const float* g, float* v) {
  KAGAMI_SHARED(shared_rates, LarsRates<float>);
  const Chunk chunk = own_chunk(batch);
  const UpdateRange& range = batch.range[chunk.range];
  const TwoSums sums = range.scaled ? range_sums(batch, chunk.range, chunk_sums) : TwoSums{};
  if (threadIdx.x == 0) {  // in double, so by one thread
    const double lr = scalars->lr[range.group];
    LarsFactors factors;
    if (range.scaled)
      factors = lars_factors(settings, range, lr, std::sqrt(static_cast<double>(sums[0])),
                             std::sqrt(static_cast<double>(sums[1])));
    shared_rates = lars_rates<float>(*scalars, settings, lr, factors);
  }
  __syncthreads();
  const LarsRates<float> rates = shared_rates;
  const EmaRates<float> ema = ema_rates<float>(*scalars);
  cuda::for_block_elements<update_threads>(
      chunk.first, chunk.last,
      [&](std::int64_t i) {
        return Element{to.p[i], g[i], v[i], to.followed(i)};
      },
      [&](std::int64_t i, Element e) {
        lars_step(rates, e.p, e.g, e.v);
        to.store(i, e.p, ema, e.followed);
        v[i] = e.v;
      });
}

/// One thread: powers in double are slow.
__global__ void adamw_corrections_kernel(const StepScalars* scalars, AdamWSettings settings, AdamWCorrections* result) {
  *result = adamw_corrections(*scalars, settings);
}

struct AdamWElement {
  float p, g, m, v, followed;
};

__global__ void adamw_kernel(const __grid_constant__ RangeBatch batch, const StepScalars* scalars,
                             AdamWSettings settings, const AdamWCorrections* corrections, Written to, const float* g,
                             float* m, float* v) {
  const Chunk chunk = own_chunk(batch);
  const AdamWRates<float> rates = adamw_rates<float>(*scalars, settings, *corrections, batch.range[chunk.range]);
  const EmaRates<float> ema = ema_rates<float>(*scalars);
  cuda::for_block_elements<update_threads>(
      chunk.first, chunk.last,
      [&](std::int64_t i) {
        return AdamWElement{to.p[i], g[i], m[i], v[i], to.followed(i)};
      },
      [&](std::int64_t i, AdamWElement e) {
        adamw_step(rates, e.p, e.g, e.m, e.v);
        to.store(i, e.p, ema, e.followed);
        m[i] = e.m;
        v[i] = e.v;
      });
}

__global__ void ema_kernel(const StepScalars* scalars, const float* p, EmaTarget<float> target) {
  const EmaRates<float> ema = ema_rates<float>(*scalars);
  const std::int64_t first = blockIdx.x * chunk_elements;
  const std::int64_t last = first + chunk_elements < target.count ? first + chunk_elements : target.count;
  cuda::for_block_elements<update_threads>(
      first, last,
      [&](std::int64_t i) {
        return Vec<float, 2>{{target.values[i], p[i]}};
      },
      [&](std::int64_t i, Vec<float, 2> pair) {
        write(target.values, target.copy, i, ema_step(ema, pair[0], pair[1]));
      });
}

}  // namespace

template <class T>
void sgd_update(Cuda device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                const SgdSettings& settings, T* p, const T* g, T* v, bf16* copy, const EmaTarget<T>& target) {
  for_batches(ranges, range_count, [&](const RangeBatch& batch, std::uint32_t blocks) {
    launch<sgd_kernel>(device, dim3{blocks}, dim3{update_threads}, 0, batch, scalars, settings,
                       Written{p, copy, target}, g, v);
  });
}

template <class T>
void lars_update(Cuda device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                 const LarsSettings& settings, T* p, const T* g, T* v, bf16* copy, const EmaTarget<T>& target) {
  for_batches(ranges, range_count, [&](const RangeBatch& batch, std::uint32_t blocks) {
    const Scratch<TwoSums> sums(device.memory, blocks);
    launch<lars_norms_kernel>(device, dim3{blocks}, dim3{update_threads}, 0, batch, settings, static_cast<const T*>(p),
                              g, sums.data());
    launch<lars_kernel>(device, dim3{blocks}, dim3{update_threads}, 0, batch, scalars, settings,
                        static_cast<const TwoSums*>(sums.data()), Written{p, copy, target}, g, v);
  });
}

template <class T>
void adamw_update(Cuda device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                  const AdamWSettings& settings, T* p, const T* g, T* m, T* v, bf16* copy, const EmaTarget<T>& target) {
  const Scratch<AdamWCorrections> corrections(device.memory, 1);
  launch<adamw_corrections_kernel>(device, dim3{1}, dim3{1}, 0, scalars, settings, corrections.data());
  for_batches(ranges, range_count, [&](const RangeBatch& batch, std::uint32_t blocks) {
    launch<adamw_kernel>(device, dim3{blocks}, dim3{update_threads}, 0, batch, scalars, settings,
                         static_cast<const AdamWCorrections*>(corrections.data()), Written{p, copy, target}, g, m, v);
  });
}

template <class T>
void ema_update(Cuda device, const StepScalars* scalars, const T* p, const EmaTarget<T>& target) {
  if (target.count <= 0) return;
  const auto blocks = static_cast<std::uint32_t>((target.count + chunk_elements - 1) / chunk_elements);
  launch<ema_kernel>(device, dim3{blocks}, dim3{update_threads}, 0, scalars, p, target);
}

template void sgd_update(Cuda, const UpdateRange*, int, const StepScalars*, const SgdSettings&, float*, const float*,
                         float*, bf16*, const EmaTarget<float>&);
template void lars_update(Cuda, const UpdateRange*, int, const StepScalars*, const LarsSettings&, float*, const float*,
                          float*, bf16*, const EmaTarget<float>&);
template void adamw_update(Cuda, const UpdateRange*, int, const StepScalars*, const AdamWSettings&, float*,
                           const float*, float*, float*, bf16*, const EmaTarget<float>&);
template void ema_update(Cuda, const StepScalars*, const float*, const EmaTarget<float>&);

}  // namespace kagami
