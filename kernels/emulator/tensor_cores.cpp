// ldmatrix, stmatrix and mma.sync: fragments exactly as the hardware lays them out over the lanes of a warp.
#include <algorithm>
#include <cstring>

#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
using namespace detail;
namespace {
float low(uint32_t v) { return std::bit_cast<float>(v << 16); }
float high(uint32_t v) { return std::bit_cast<float>(v & 0xFFFF0000u); }

struct LdMatrix {
  uint32_t* regs;
  const unsigned char* row;
  int count;
};

template <bool Trans>
void finish_ldmatrix(Worker& w, Warp&, Rendezvous& r) {
  const int count = static_cast<LdMatrix*>(r.payload[0])->count;
  ++w.counts.ldmatrix;
  for (int m = 0; m < count; ++m) {
    uint16_t e[8][8];
    int rows_in_bank[8] = {}, most = 0;  // 8 rows x 16 bytes are conflict-free if they cover all 32 banks
    for (int i = 0; i < 8; ++i)
      most = std::max(most, ++rows_in_bank[(static_cast<LdMatrix*>(r.payload[m * 8 + i])->row - w.arena) / 16 % 8]);
    w.counts.ldmatrix_conflicts += unsigned(most - 1);
    for (int i = 0; i < 8; ++i) std::memcpy(e[i], static_cast<LdMatrix*>(r.payload[m * 8 + i])->row, 16);
    for (int l = 0; l < 32; ++l) {
      const int i = l / 4, j = l % 4 * 2;
      static_cast<LdMatrix*>(r.payload[l])->regs[m] =
          Trans ? e[j][i] | uint32_t(e[j + 1][i]) << 16 : e[i][j] | uint32_t(e[i][j + 1]) << 16;
    }
  }
}
template <bool Trans>
void finish_stmatrix(Worker&, Warp&, Rendezvous& r) {
  const int count = static_cast<LdMatrix*>(r.payload[0])->count;
  for (int m = 0; m < count; ++m) {
    uint16_t e[8][8];
    for (int l = 0; l < 32; ++l)
      for (int half = 0; half < 2; ++half) {
        const int i = l / 4, j = l % 4 * 2 + half;
        (Trans ? e[j][i] : e[i][j]) = uint16_t(static_cast<LdMatrix*>(r.payload[l])->regs[m] >> half * 16);
      }
    for (int i = 0; i < 8; ++i)
      std::memcpy(const_cast<unsigned char*>(static_cast<LdMatrix*>(r.payload[m * 8 + i])->row), e[i], 16);
  }
}

struct Mma {
  float* d;
  const uint32_t *a, *b;
  const float* c;
};

/// d = a b + c for a: 16 x k, b: k x 8, given as the registers that each lane holds.
/// `unpack(fragments, g, t, a, b)` puts one lane's registers into the matrices; g = lane / 4, t = lane % 4.
template <int K, class Unpack>
void multiply(Worker& w, Rendezvous& r, Unpack&& unpack) {
  ++w.counts.mma;
  alignas(32) float a[16][K], b[K][8], c[16][8];
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(r.payload[l]);
    const int g = l / 4, t = l % 4;
    unpack(m, g, t, a, b);
    for (int i = 0; i < 4; ++i) c[g + i / 2 * 8][t * 2 + i % 2] = m.c[i];
  }
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < 8; ++j) c[i][j] += a[i][k] * b[k][j];
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(r.payload[l]);
    for (int i = 0; i < 4; ++i) m.d[i] = c[l / 4 + i / 2 * 8][l % 4 * 2 + i % 2];
  }
}

void finish_mma_bf16(Worker& w, Warp&, Rendezvous& r) {
  multiply<16>(w, r, [](const Mma& m, int g, int t, auto& a, auto& b) {
    for (int i = 0; i < 4; ++i) {  // a0 (g,2t) a1 (g+8,2t) a2 (g,2t+8) a3 (g+8,2t+8)
      a[g + i % 2 * 8][t * 2 + i / 2 * 8] = low(m.a[i]);
      a[g + i % 2 * 8][t * 2 + i / 2 * 8 + 1] = high(m.a[i]);
    }
    for (int i = 0; i < 2; ++i) {
      b[t * 2 + i * 8][g] = low(m.b[i]);
      b[t * 2 + i * 8 + 1][g] = high(m.b[i]);
    }
  });
}

float tf32(uint32_t v) { return std::bit_cast<float>(v & 0xFFFFE000u); }

void finish_mma_tf32(Worker& w, Warp&, Rendezvous& r) {
  multiply<8>(w, r, [](const Mma& m, int g, int t, auto& a, auto& b) {
    for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = tf32(m.a[i]);
    for (int i = 0; i < 2; ++i) b[t + i * 4][g] = tf32(m.b[i]);
  });
}
}  // namespace

void ldmatrix(uint32_t* regs, int count, bool trans, const void* row, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  if (w.self->lane < count * 8) {
    w.check_shared(row, 16, 16, "ldmatrix", loc);
    tsan_read(row, 16);
    touch(row, 16);
  }
  LdMatrix p{regs, static_cast<const unsigned char*>(row), count};
  w.meet(~0u, trans ? "ldmatrix.trans" : "ldmatrix", true, &p, loc,
         trans ? finish_ldmatrix<true> : finish_ldmatrix<false>);
}
void stmatrix(const uint32_t* regs, int count, bool trans, void* row, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  w.require_arch(90, "stmatrix", loc);
  if (w.self->lane < count * 8) {
    w.check_shared(row, 16, 16, "stmatrix", loc);
    tsan_write(row, 16);
    touch(row, 16, true);
  }
  LdMatrix p{const_cast<uint32_t*>(regs), static_cast<const unsigned char*>(row), count};
  w.meet(~0u, trans ? "stmatrix.trans" : "stmatrix", true, &p, loc,
         trans ? finish_stmatrix<true> : finish_stmatrix<false>);
}
void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, const float* c, Loc loc) {
  Quiet quiet;
  Mma p{d, a, b, c};
  worker().meet(~0u, "mma.m16n8k16", true, &p, loc, finish_mma_bf16);
}
void mma_m16n8k8_tf32(float* d, const uint32_t* a, const uint32_t* b, const float* c, Loc loc) {
  Quiet quiet;
  Mma p{d, a, b, c};
  worker().meet(~0u, "mma.m16n8k8", true, &p, loc, finish_mma_tf32);
}

}  // namespace kagami::emulator
