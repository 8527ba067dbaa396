#pragma once
// Kernels with a planted defect (Bug) beside the correct ones, for emulator_defects_test.cpp.
#include "kernels/cuda/ptx.h"

namespace kagami {
namespace {

// ---- barriers and races: reverse 256 floats through shared memory, twice
enum { missing_raw, missing_war };
template <int Which, bool Bug>
__global__ void reverse_twice(const float* in, float* out, int n) {
  KAGAMI_SHARED(s, float[256]);
  for (int base = 0; base < n; base += 256) {
    s[threadIdx.x] = in[base + threadIdx.x];
    if (!(Bug && Which == missing_raw)) __syncthreads();
    out[base + threadIdx.x] = s[255 - threadIdx.x];
    if (!(Bug && Which == missing_war)) __syncthreads();
  }
}
template <bool Bug>
__global__ void warp_exchange_without_syncwarp(const float* in, float* out, int) {
  KAGAMI_SHARED(s, float[256]);
  s[threadIdx.x] = in[threadIdx.x];
  if (!Bug) __syncwarp();
  out[threadIdx.x] = s[threadIdx.x ^ 31];
}
// The second sum must not be written to the memory of the first before every warp has read that.
__device__ inline float block_sum(float x, float* partial) {
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(0xffffffffu, x, lane);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int warp = 0; warp < 8; ++warp) sum += partial[warp];
  return sum;
}
template <bool Bug>
__global__ void two_sums(const float* in, float* out, int) {
  KAGAMI_SHARED(partial, float[8]);
  const float x = in[threadIdx.x];
  const float sum = block_sum(x, partial);
  if (!Bug) __syncthreads();
  out[threadIdx.x] = block_sum(x * x, partial) - sum * x;
}
template <bool Bug>
__global__ void lost_update(const float* in, float* out, int n) {  // out[0] += everything
  if (threadIdx.x < unsigned(n)) {
    if (Bug)
      out[0] += in[threadIdx.x];
    else
      atomicAdd(out, in[threadIdx.x]);
  }
}
// ---- divergent barriers
template <bool Bug>
__global__ void barrier_in_branch(const float* in, float* out, int) {
  KAGAMI_SHARED(s, float[256]);
  s[threadIdx.x] = in[threadIdx.x];
  if (!Bug || threadIdx.x < 100) __syncthreads();
  out[threadIdx.x] = Bug && threadIdx.x >= 100 ? 0 : s[255 - threadIdx.x];
}
template <bool Bug>
__global__ void early_return(const float* in, float* out, int n) {
  KAGAMI_SHARED(s, float[256]);
  if (Bug && int(threadIdx.x) >= n - 3) return;
  s[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = s[255 - threadIdx.x];
}
template <bool Bug>
__global__ void two_barriers(const float* in, float* out, int) {
  KAGAMI_SHARED(s, float[256]);
  s[threadIdx.x] = in[threadIdx.x];
  if (Bug && threadIdx.x >= 128) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = s[255 - threadIdx.x];
}
template <bool Bug>
__global__ void shuffle_in_branch(const float* in, float* out, int n) {
  float v = in[threadIdx.x];
  if (!Bug || int(threadIdx.x) < n - 5) v += __shfl_xor_sync(0xFFFFFFFFu, v, 1);
  out[threadIdx.x] = v;
  __syncwarp();
}
template <bool Bug>
__global__ void named_barrier_count(const float* in, float* out, int) {
  KAGAMI_SHARED(s, float[256]);
  s[threadIdx.x] = in[threadIdx.x];
  ptx::bar_sync(1 + threadIdx.x / 128, Bug ? 160 : 128);
  out[threadIdx.x] = s[threadIdx.x ^ 127];
}
// ---- memory
template <bool Bug>
__global__ void shared_out_of_bounds(const float* in, float* out, int) {
  KAGAMI_SHARED(s, float[256]);
  KAGAMI_SHARED(other, float[256]);
  float* p = s;
  other[threadIdx.x] = 0;
  p[threadIdx.x + (Bug ? 1 : 0)] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = s[255 - threadIdx.x] + other[threadIdx.x];
}
template <bool Bug>
__global__ void shared_row_overflow(const float* in, float* out, int) {  // stays inside the array
  KAGAMI_SHARED(s, float[16][17]);
  s[threadIdx.x / 16][threadIdx.x % 16 + (Bug ? 2 : 0)] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = s[threadIdx.x / 16][threadIdx.x % 16 + (Bug ? 2 : 0)];
}
struct Small {
  float v[256];
};
template <bool Bug>
__global__ void dynamic_shared_too_small(const float* in, float* out, int) {
  float* s = dynamic_shared<Small>().v;
  s[threadIdx.x + (Bug ? 4 : 0)] = in[threadIdx.x];
  out[threadIdx.x] = s[threadIdx.x + (Bug ? 4 : 0)];
}
template <bool Bug>
__global__ void global_read_out_of_bounds(const float* in, float* out, int n) {
  const int i = int(threadIdx.x) + (Bug ? 1 : 0);
  out[threadIdx.x] = i < n + (Bug ? 1 : 0) ? in[i] * 0 : 0;
}
template <bool Bug>
__global__ void global_write_out_of_bounds(const float* in, float* out, int n) {
  const int i = int(threadIdx.x) * 4;
  for (int j = 0; j < 4; ++j)
    if (Bug ? i <= n - 1 : i + j < n) out[i + j] = in[(i + j) % n];
}
template <bool Bug>
__global__ void index_overflow(const float* in, float* out, int n) {
  const int stride = 1 << 20;  // row * stride as int
  const int row = int(threadIdx.x) * 16;
  const size_t offset = Bug ? size_t(row * stride) : size_t(row) * stride;
  out[threadIdx.x] = offset < size_t(n) ? in[offset] : 0;
}
template <bool Bug>
__global__ void misaligned_float4(const float* in, float* out, int n) {
  const int i = int(threadIdx.x) * 4 + (Bug ? 1 : 0);
  if (i + 3 < n) {
    const float4 v = *reinterpret_cast<const float4*>(in + i);
    out[i] = v.x, out[i + 1] = v.y, out[i + 2] = v.z, out[i + 3] = v.w;
  }
}
template <bool Bug>
__global__ void misaligned_ldmatrix(const float* in, float* out, int) {
  KAGAMI_SHARED(s, uint4[64]);
  for (int i = threadIdx.x; i < 64; i += 256) s[i] = uint4{0, 0, 0, 0};
  __syncthreads();
  uint32_t r[4];
  ptx::ldmatrix_x4(r, reinterpret_cast<char*>(&s[threadIdx.x % 32]) + (Bug ? 8 : 0));
  out[threadIdx.x] = in[threadIdx.x] + float(r[0]);
}
template <bool Bug>
__global__ void stack_overflow(const float* in, float* out, int n) {
  volatile float big[Bug ? 100000 : 10];
  for (int i = 0; i < (Bug ? 100000 : 10); ++i) big[i] = in[i % n];
  out[threadIdx.x] = in[threadIdx.x] + 0 * big[threadIdx.x % 10];
}
// ---- cp.async
template <bool Bug>
__global__ void cp_async_no_wait(const float* in, float* out, int) {
  KAGAMI_SHARED(s, float4[64]);
  if (threadIdx.x < 64) ptx::cp_async_16(&s[threadIdx.x], in + threadIdx.x * 4);
  ptx::cp_async_commit();
  if (!Bug) ptx::cp_async_wait_group<0>();
  __syncthreads();
  out[threadIdx.x] = reinterpret_cast<const float*>(s)[255 - threadIdx.x];
}
template <bool Bug>
__global__ void cp_async_wait_off_by_one(const float* in, float* out, int n) {
  KAGAMI_SHARED(s, float4[3][64]);
  auto fill = [&](int t) {
    if (threadIdx.x < 64 && t * 256 < n) ptx::cp_async_16(&s[t % 3][threadIdx.x], in + t * 256 + threadIdx.x * 4);
    ptx::cp_async_commit();
  };
  fill(0), fill(1);
  for (int t = 0; t * 256 < n; ++t) {
    ptx::cp_async_wait_group<Bug ? 2 : 1>();
    __syncthreads();
    fill(t + 2);
    out[t * 256 + threadIdx.x] = reinterpret_cast<const float*>(s[t % 3])[255 - threadIdx.x];
  }
}
template <bool Bug>
__global__ void cp_async_stage_reused(const float* in, float* out, int n) {  // fill before the barrier
  KAGAMI_SHARED(s, float4[3][64]);
  auto fill = [&](int t) {
    if (threadIdx.x < 64 && t * 256 < n) ptx::cp_async_16(&s[t % 3][threadIdx.x], in + t * 256 + threadIdx.x * 4);
    ptx::cp_async_commit();
  };
  fill(0), fill(1);
  for (int t = 0; t * 256 < n; ++t) {
    if (Bug) {
      fill(t + 2);
      ptx::cp_async_wait_group<2>();
      __syncthreads();
    } else {
      ptx::cp_async_wait_group<1>();
      __syncthreads();
      fill(t + 2);
    }
    out[t * 256 + threadIdx.x] = reinterpret_cast<const float*>(s[t % 3])[255 - threadIdx.x];
  }
}
// ---- Hopper: 64 x 64 x K GEMM, one producer warp, one consumer warpgroup, 2 stages
enum {
  h_none,
  h_no_empty_wait,
  h_wrong_parity,
  h_wrong_bytes,
  h_early_release,
  h_no_wgmma_wait,
  h_no_fence,
  h_no_init_sync,
  h_all_lanes_issue,
  h_three_warps
};
struct Storage {
  alignas(1024) bf16 a[2][64 * 64];
  alignas(1024) bf16 b[2][64 * 64];
  alignas(8) uint64_t full[2];
  uint64_t empty[2];
};
template <int Bug>
__global__ void hopper(int K, const __grid_constant__ TensorMap ma, const __grid_constant__ TensorMap mb, float* C) {
  auto& s = dynamic_shared<Storage>();
  const int tiles = K / 64;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) ptx::mbarrier_init(&s.full[i], 1), ptx::mbarrier_init(&s.empty[i], 1);
    ptx::fence_barrier_init();
  }
  if (Bug != h_no_init_sync) __syncthreads();
  if (threadIdx.x >= 128) {
    if (threadIdx.x == 128 || Bug == h_all_lanes_issue) {
      for (int t = 0; t < tiles; ++t) {
        const int st = t % 2;
        if (Bug != h_no_empty_wait) ptx::mbarrier_wait(&s.empty[st], (t / 2 & 1) ^ (Bug == h_wrong_parity ? 0 : 1));
        ptx::mbarrier_arrive_expect_tx(&s.full[st], Bug == h_wrong_bytes ? sizeof s.a[0] : 2 * sizeof s.a[0]);
        ptx::tma_load_2d(s.a[st], &ma, &s.full[st], t * 64, 0);
        ptx::tma_load_2d(s.b[st], &mb, &s.full[st], t * 64, 0);
      }
    }
    return;
  }
  float acc[32] = {};
  for (int t = 0; t < tiles; ++t) {
    const int st = t % 2;
    ptx::mbarrier_wait(&s.full[st], t / 2 & 1);
    if (Bug != h_no_fence) ptx::wgmma_fence();
    if (!(Bug == h_three_warps && threadIdx.x >= 96))
      for (int k = 0; k < 64; k += 16)
        ptx::wgmma_m64k16_bf16<64>(acc, ptx::wgmma_desc_sw128(&s.a[st][k], 1024),
                                   ptx::wgmma_desc_sw128(&s.b[st][k], 1024), true);
    ptx::wgmma_commit();
    if (Bug == h_early_release && threadIdx.x == 0) ptx::mbarrier_arrive(&s.empty[st]);
    if (Bug == h_no_wgmma_wait)
      ptx::wgmma_wait<1>();
    else
      ptx::wgmma_wait<0>();
    if (Bug != h_early_release && threadIdx.x == 0) ptx::mbarrier_arrive(&s.empty[st]);
  }
  const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  for (int i = 0; i < 32; ++i) C[(row + i / 2 % 2 * 8) * 64 + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2] = acc[i];
  if (Bug == h_no_wgmma_wait) ptx::wgmma_wait<0>();
}
// ordinary stores feeding wgmma need fence.proxy.async
template <bool Bug>
__global__ void wgmma_without_proxy_fence(const bf16* A, const bf16* B, float* C) {
  auto& s = dynamic_shared<Storage>();
  for (int i = threadIdx.x; i < 64 * 64; i += 128) {
    const int o = (i * 2 ^ ((i * 2 >> 3) & 0x70)) / 2;  // 128-byte swizzle by hand
    s.a[0][o] = A[i], s.b[0][o] = B[i];
  }
  if (!Bug) ptx::fence_proxy_async();
  __syncthreads();
  float acc[32] = {};
  ptx::wgmma_fence();
  for (int k = 0; k < 64; k += 16)
    ptx::wgmma_m64k16_bf16<64>(acc, ptx::wgmma_desc_sw128(&s.a[0][k], 1024), ptx::wgmma_desc_sw128(&s.b[0][k], 1024),
                               k > 0);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  for (int i = 0; i < 32; ++i) C[(row + i / 2 % 2 * 8) * 64 + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2] = acc[i];
}
enum { st_no_fence, st_no_wait };
template <int Which, bool Bug>
__global__ void tma_store_tile(const __grid_constant__ TensorMap map, const bf16* in) {
  auto& s = dynamic_shared<Storage>();
  for (int i = threadIdx.x; i < 64 * 64; i += 128) s.a[0][i] = in[i];
  if (!(Bug && Which == st_no_fence)) ptx::fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::tma_store_2d(&map, s.a[0], 0, 0);
    ptx::tma_store_commit();
    if (!(Bug && Which == st_no_wait)) ptx::tma_store_wait<0>();
  }
}

}  // namespace
}  // namespace kagami
