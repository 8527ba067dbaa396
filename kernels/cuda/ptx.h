#pragma once
// Thin PTX wrappers: inline assembly on the GPU, the emulator's functions on the CPU.
// In nvcc's pass for the host nothing calls them. On a GPU without an instruction the kernel ends with an error, except
// where it was only advice (prefetch, setmaxnreg).
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/tensor_map.h"

#if defined(__CUDACC__)
#define KAGAMI_PTX __device__ __forceinline__
#define KAGAMI_LOC
#define KAGAMI_LOC_ONLY
#else
#define KAGAMI_PTX inline
#define KAGAMI_LOC , ::kagami::emulator::Loc loc = ::kagami::emulator::Loc::current()
#define KAGAMI_LOC_ONLY ::kagami::emulator::Loc loc = ::kagami::emulator::Loc::current()

namespace kagami::emulator {
void ldmatrix(uint32_t* regs, int count, bool trans, const void* row, Loc);
void stmatrix(const uint32_t* regs, int count, bool trans, void* row, Loc);
void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, const float* c, Loc);
void mma_m16n8k8_tf32(float* d, const uint32_t* a, const uint32_t* b, const float* c, Loc);

void cp_async(void* smem_dst, const void* gmem_src, int bytes, int src_bytes, Loc);
void cp_async_commit(Loc);
void cp_async_wait(int newest_in_flight, Loc);

void mbarrier_init(uint64_t* bar, uint32_t count, Loc);
void mbarrier_arrive(uint64_t* bar, uint32_t count, uint32_t expect_tx_bytes, Loc);
void mbarrier_expect_tx(uint64_t* bar, uint32_t bytes, Loc);
bool mbarrier_test_parity(uint64_t* bar, uint32_t parity, bool may_block, Loc);
void fence_proxy_async(Loc);

void tma_load(void* smem_dst, const TensorMap* map, uint64_t* bar, const int* coord, int rank, Loc);
void tma_store(const TensorMap* map, const void* smem_src, const int* coord, int rank, Loc);
void tma_store_commit(Loc);
void tma_store_wait(int newest_in_flight, Loc);

void wgmma_fence(Loc);
void wgmma_mma_bf16(float* d, int n, uint64_t desc_a, uint64_t desc_b, bool accumulate, bool mn_major_a,
                    bool mn_major_b, Loc);
void wgmma_commit(Loc);
void wgmma_wait(int newest_in_flight, Loc);
}  // namespace kagami::emulator
#endif

namespace kagami::ptx {

// ---------------------------------------------------------------- sm_75 / sm_80
/// Lane l gives the address of row l%8 of matrix l/8; register i holds matrix i.
KAGAMI_PTX void ldmatrix_x4(uint32_t (&r)[4], const void* row KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  uint32_t s = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(s)
               : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::ldmatrix(r, 4, false, row, loc);
#endif
}
KAGAMI_PTX void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  uint32_t s = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(s)
               : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::ldmatrix(r, 4, true, row, loc);
#endif
}

/// d = a * b + c; a: 16x16 row-major, b: 16x8 col-major, bf16 in, fp32 accumulate.
KAGAMI_PTX void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                  const float (&c)[4] KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
#elif !defined(__CUDACC__)
  kagami::emulator::mma_m16n8k16_bf16(d, a, b, c, loc);
#endif
}
/// The same with a: 16x8, b: 8x8, tf32 in: floats whose 13 lowest bits are ignored. Use to_tf32 to round them.
KAGAMI_PTX void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                 const float (&c)[4] KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
#elif !defined(__CUDACC__)
  kagami::emulator::mma_m16n8k8_tf32(d, a, b, c, loc);
#endif
}
/// Rounds to tf32's 10 mantissa bits, ties away from zero (cvt.rna), as mma_m16n8k8_tf32 wants its operands.
KAGAMI_PTX uint32_t to_tf32(float x) {
  uint32_t bits = 0;
#if defined(__CUDA_ARCH__)
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
#elif !defined(__CUDACC__)
  bits = std::bit_cast<uint32_t>(x);
  const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
  bits = (finite ? bits + 0x1000u : bits) & 0xFFFFE000u;
#endif
  return bits;
}

/// As bf16(x), in one instruction.
KAGAMI_PTX bf16 to_bf16(float x) {
#if defined(__CUDA_ARCH__)
  bf16 rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(x));
  return rounded;
#else
  return bf16(x);
#endif
}

/// Copies src_bytes (0..16) and zero-fills the rest of the 16 bytes.
KAGAMI_PTX void cp_async_16(void* smem_dst, const void* gmem_src, int src_bytes = 16 KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  uint32_t s = static_cast<uint32_t>(__cvta_generic_to_shared(smem_dst));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(s), "l"(gmem_src), "r"(src_bytes) : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::cp_async(smem_dst, gmem_src, 16, src_bytes, loc);
#endif
}
/// Copies 4 or 8 bytes, or writes as many zero bytes when src_bytes is 0.
template <int Bytes>
KAGAMI_PTX void cp_async_small(void* smem_dst, const void* gmem_src, int src_bytes = Bytes KAGAMI_LOC) {
  static_assert(Bytes == 4 || Bytes == 8);
#if defined(__CUDA_ARCH__)
  uint32_t s = static_cast<uint32_t>(__cvta_generic_to_shared(smem_dst));
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(s), "l"(gmem_src), "n"(Bytes), "r"(src_bytes)
               : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::cp_async(smem_dst, gmem_src, Bytes, src_bytes, loc);
#endif
}
KAGAMI_PTX void cp_async_commit(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::cp_async_commit(loc);
#endif
}
template <int Newest>
KAGAMI_PTX void cp_async_wait_group(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH__)
  asm volatile("cp.async.wait_group %0;" ::"n"(Newest) : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::cp_async_wait(Newest, loc);
#endif
}

// ---------------------------------------------------------------- barriers
KAGAMI_PTX void bar_sync(int id, int threads KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::bar_sync(id, threads, false, "bar.sync", loc);
#endif
}
KAGAMI_PTX void mbarrier_init(uint64_t* bar, uint32_t count KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(uint32_t(__cvta_generic_to_shared(bar))), "r"(count)
               : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::mbarrier_init(bar, count, loc);
#endif
}
/// Makes mbarrier_init visible to the async proxy (and to the cluster).
KAGAMI_PTX void fence_barrier_init(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#elif !defined(__CUDACC__)
  (void)loc;
#else
  __trap();
#endif
}
/// Makes this thread's ordinary shared-memory writes visible to TMA stores and wgmma.
KAGAMI_PTX void fence_proxy_async(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::fence_proxy_async(loc);
#else
  __trap();
#endif
}
KAGAMI_PTX void mbarrier_arrive(uint64_t* bar KAGAMI_LOC) {
#if defined(__CUDA_ARCH__)
  asm volatile(
      "{ .reg .b64 t; mbarrier.arrive.shared::cta.b64 t, [%0]; }" ::"r"(uint32_t(__cvta_generic_to_shared(bar)))
      : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::mbarrier_arrive(bar, 1, 0, loc);
#endif
}
KAGAMI_PTX void mbarrier_arrive_expect_tx(uint64_t* bar, uint32_t bytes KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("{ .reg .b64 t; mbarrier.arrive.expect_tx.shared::cta.b64 t, [%0], %1; }" ::"r"(
                   uint32_t(__cvta_generic_to_shared(bar))),
               "r"(bytes)
               : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::mbarrier_arrive(bar, 1, bytes, loc);
#else
  __trap();
#endif
}
/// True once the phase of the given parity has completed.
KAGAMI_PTX bool mbarrier_try_wait(uint64_t* bar, uint32_t parity KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  uint32_t ok;
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(ok)
               : "r"(uint32_t(__cvta_generic_to_shared(bar))), "r"(parity)
               : "memory");
  return ok != 0;
#elif !defined(__CUDACC__)
  return kagami::emulator::mbarrier_test_parity(bar, parity, true, loc);
#else
  __trap();
  return true;
#endif
}
#if defined(__CUDACC__)
KAGAMI_PTX void mbarrier_wait(uint64_t* bar, uint32_t parity) {
  while (!mbarrier_try_wait(bar, parity)) {
  }
}
#else
KAGAMI_PTX void mbarrier_wait(uint64_t* bar, uint32_t parity KAGAMI_LOC) {
  while (!mbarrier_try_wait(bar, parity, loc)) {
  }
}
#endif

// ---------------------------------------------------------------- TMA (sm_90)
KAGAMI_PTX void tma_prefetch(const TensorMap* map) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#else
  (void)map;
#endif
}
KAGAMI_PTX void tma_load_2d(void* smem_dst, const TensorMap* map, uint64_t* bar, int c0, int c1 KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::
          "r"(uint32_t(__cvta_generic_to_shared(smem_dst))),
      "l"(map), "r"(uint32_t(__cvta_generic_to_shared(bar))), "r"(c0), "r"(c1)
      : "memory");
#elif !defined(__CUDACC__)
  int c[] = {c0, c1};
  kagami::emulator::tma_load(smem_dst, map, bar, c, 2, loc);
#else
  __trap();
#endif
}
KAGAMI_PTX void tma_load_3d(void* smem_dst, const TensorMap* map, uint64_t* bar, int c0, int c1, int c2 KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
      "[%2];" ::"r"(uint32_t(__cvta_generic_to_shared(smem_dst))),
      "l"(map), "r"(uint32_t(__cvta_generic_to_shared(bar))), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
#elif !defined(__CUDACC__)
  int c[] = {c0, c1, c2};
  kagami::emulator::tma_load(smem_dst, map, bar, c, 3, loc);
#else
  __trap();
#endif
}
KAGAMI_PTX void tma_load_4d(void* smem_dst, const TensorMap* map, uint64_t* bar, int c0, int c1, int c2,
                            int c3 KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(uint32_t(__cvta_generic_to_shared(smem_dst))),
      "l"(map), "r"(uint32_t(__cvta_generic_to_shared(bar))), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
#elif !defined(__CUDACC__)
  int c[] = {c0, c1, c2, c3};
  kagami::emulator::tma_load(smem_dst, map, bar, c, 4, loc);
#else
  __trap();
#endif
}
KAGAMI_PTX void tma_store_2d(const TensorMap* map, const void* smem_src, int c0, int c1 KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map),
               "r"(uint32_t(__cvta_generic_to_shared(smem_src))), "r"(c0), "r"(c1)
               : "memory");
#elif !defined(__CUDACC__)
  int c[] = {c0, c1};
  kagami::emulator::tma_store(map, smem_src, c, 2, loc);
#else
  __trap();
#endif
}
KAGAMI_PTX void tma_store_commit(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::tma_store_commit(loc);
#else
  __trap();
#endif
}
template <int Newest>
KAGAMI_PTX void tma_store_wait(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(Newest) : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::tma_store_wait(Newest, loc);
#else
  __trap();
#endif
}

// ---------------------------------------------------------------- stmatrix (sm_90)
/// Lane l gives the address of row l%8 of matrix l/8; register i goes to matrix i. Matrices lie over the lanes as
/// ldmatrix_x4 reads them.
KAGAMI_PTX void stmatrix_x4(void* row, const uint32_t (&r)[4] KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  uint32_t s = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(s), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::stmatrix(r, 4, false, row, loc);
#else
  __trap();
#endif
}
KAGAMI_PTX void stmatrix_x4_trans(void* row, const uint32_t (&r)[4] KAGAMI_LOC) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  uint32_t s = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(s), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::stmatrix(r, 4, true, row, loc);
#else
  __trap();
#endif
}

// ---------------------------------------------------------------- wgmma (sm_90a)
/// Shared-memory matrix descriptor, 128-byte swizzle. lbo is ignored for K-major operands.
KAGAMI_PTX uint64_t wgmma_desc_sw128(const void* p, uint32_t sbo_bytes, uint32_t lbo_bytes = 16) {
  uint64_t addr = uint32_t(__cvta_generic_to_shared(p));
  return ((addr & 0x3FFFF) >> 4) | uint64_t((lbo_bytes & 0x3FFFF) >> 4) << 16 |
         uint64_t((sbo_bytes & 0x3FFFF) >> 4) << 32 | 1ull << 62;
}
KAGAMI_PTX void wgmma_fence(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::wgmma_fence(loc);
#else
  __trap();
#endif
}
KAGAMI_PTX void wgmma_commit(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::wgmma_commit(loc);
#else
  __trap();
#endif
}
template <int Newest>
KAGAMI_PTX void wgmma_wait(KAGAMI_LOC_ONLY) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Newest) : "memory");
#elif !defined(__CUDACC__)
  kagami::emulator::wgmma_wait(Newest, loc);
#else
  __trap();
#endif
}
template <int Regs>
KAGAMI_PTX void setmaxnreg_inc() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Regs));
#endif
}
template <int Regs>
KAGAMI_PTX void setmaxnreg_dec() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Regs));
#endif
}

/// d (64 x N, fp32, spread over the warpgroup) = [accumulate ? d : 0] + A(64x16) * B(16xN), both from shared memory.
/// TransX = 0: operand X is K-major (K contiguous); 1: M/N-major.
template <int N, int TransA = 0, int TransB = 0>
KAGAMI_PTX void wgmma_m64k16_bf16(float (&d)[N / 2], uint64_t desc_a, uint64_t desc_b, bool accumulate KAGAMI_LOC) {
  static_assert(N == 64 || N == 128);
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define KAGAMI_R8(b)                                                                                          \
  "+f"(d[b]), "+f"(d[b + 1]), "+f"(d[b + 2]), "+f"(d[b + 3]), "+f"(d[b + 4]), "+f"(d[b + 5]), "+f"(d[b + 6]), \
      "+f"(d[b + 7])
  if constexpr (N == 64) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, p, 1, 1, %35, %36; }\n"
        : KAGAMI_R8(0), KAGAMI_R8(8), KAGAMI_R8(16), KAGAMI_R8(24)
        : "l"(desc_a), "l"(desc_b), "r"(int(accumulate)), "n"(TransA), "n"(TransB)
        : "memory");
  } else {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
        "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, p, 1, 1, %67, %68; }\n"
        : KAGAMI_R8(0), KAGAMI_R8(8), KAGAMI_R8(16), KAGAMI_R8(24), KAGAMI_R8(32), KAGAMI_R8(40), KAGAMI_R8(48),
          KAGAMI_R8(56)
        : "l"(desc_a), "l"(desc_b), "r"(int(accumulate)), "n"(TransA), "n"(TransB)
        : "memory");
  }
#undef KAGAMI_R8
#elif !defined(__CUDACC__)
  kagami::emulator::wgmma_mma_bf16(d, N, desc_a, desc_b, accumulate, TransA, TransB, loc);
#else
  __trap();
#endif
}
}  // namespace kagami::ptx
