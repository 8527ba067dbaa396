// Tensor-core and asynchronous instructions: ldmatrix, mma, cp.async, mbarrier, TMA, wgmma.
#include <algorithm>
#include <cstring>
#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
using namespace detail;
namespace {

float bf16(uint16_t v) { return std::bit_cast<float>(uint32_t(v) << 16); }
float low(uint32_t v) { return std::bit_cast<float>(v << 16); }
float high(uint32_t v) { return std::bit_cast<float>(v & 0xFFFF0000u); }

/// 128-byte swizzle: 16-byte chunk index (address bits 4..6) ^= 128-byte row index (bits 7..9).
size_t swizzle128(size_t address) { return address ^ (address >> 3 & 0x70); }

// ------------------------------------------------------------------ ldmatrix, mma
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
void finish_stmatrix(Worker&, Warp&, Rendezvous& r) {
  const int count = static_cast<LdMatrix*>(r.payload[0])->count;
  for (int m = 0; m < count; ++m)
    for (int i = 0; i < 8; ++i) {
      auto* row = const_cast<unsigned char*>(static_cast<LdMatrix*>(r.payload[m * 8 + i])->row);
      for (int j = 0; j < 4; ++j) std::memcpy(row + j * 4, &static_cast<LdMatrix*>(r.payload[i * 4 + j])->regs[m], 4);
    }
}

struct Mma {
  float* d;
  const uint32_t *a, *b;
  const float* c;
};

void finish_mma(Worker& w, Warp&, Rendezvous& r) {
  ++w.counts.mma;
  alignas(32) float a[16][16], b[16][8], c[16][8];
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(r.payload[l]);
    const int g = l / 4, t = l % 4 * 2;
    for (int i = 0; i < 4; ++i) {  // a0 (g,t) a1 (g+8,t) a2 (g,t+8) a3 (g+8,t+8)
      a[g + i % 2 * 8][t + i / 2 * 8] = low(m.a[i]);
      a[g + i % 2 * 8][t + i / 2 * 8 + 1] = high(m.a[i]);
    }
    for (int i = 0; i < 2; ++i) {
      b[t + i * 8][g] = low(m.b[i]);
      b[t + i * 8 + 1][g] = high(m.b[i]);
    }
    for (int i = 0; i < 4; ++i) c[g + i / 2 * 8][t + i % 2] = m.c[i];
  }
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 16; ++k)
      for (int j = 0; j < 8; ++j) c[i][j] += a[i][k] * b[k][j];
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(r.payload[l]);
    const int g = l / 4, t = l % 4 * 2;
    for (int i = 0; i < 4; ++i) m.d[i] = c[g + i / 2 * 8][t + i % 2];
  }
}
}  // namespace

void ldmatrix(uint32_t* regs, int count, bool trans, const void* row, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  if (w.self->lane < count * 8) {
    w.check_shared(row, 16, 16, "ldmatrix", loc);
    tsan_read(row, 16);
#if defined(KAGAMI_ASAN)
    (void)*static_cast<const volatile uint64_t*>(row);  // red zones inside the arena
#endif
  }
  LdMatrix p{regs, static_cast<const unsigned char*>(row), count};
  w.meet(~0u, trans ? "ldmatrix.trans" : "ldmatrix", true, &p, loc,
         trans ? finish_ldmatrix<true> : finish_ldmatrix<false>);
}
void stmatrix(const uint32_t* regs, int count, bool, void* row, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  if (w.self->lane < count * 8) {
    w.check_shared(row, 16, 16, "stmatrix", loc);
    tsan_write(row, 16);
  }
  LdMatrix p{const_cast<uint32_t*>(regs), static_cast<const unsigned char*>(row), count};
  w.meet(~0u, "stmatrix", true, &p, loc, finish_stmatrix);
}
void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, const float* c, Loc loc) {
  Quiet quiet;
  Mma p{d, a, b, c};
  worker().meet(~0u, "mma.m16n8k16", true, &p, loc, finish_mma);
}

// ------------------------------------------------------------------ cp.async
bool Worker::lazy() { return cfg.async == Async::lazy || (cfg.async == Async::random && rng.below(2)); }

void Worker::complete_copy(const CopyAsync& c) {
  counts.cp_async_bytes += unsigned(c.src_bytes);
  std::memcpy(c.dst, c.src, size_t(c.src_bytes));
  std::memset(static_cast<char*>(c.dst) + c.src_bytes, 0, size_t(c.bytes - c.src_bytes));
  tsan_read(c.src, size_t(c.src_bytes));
  tsan_write(c.dst, size_t(c.bytes));
}

void cp_async(void* dst, const void* src, int bytes, int src_bytes, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  w.check_shared(dst, size_t(bytes), size_t(bytes), "cp.async destination", loc);
  if (reinterpret_cast<uintptr_t>(src) % unsigned(bytes)) w.fail("cp.async: misaligned global address", loc);
  if (src_bytes < 0 || src_bytes > bytes) w.fail("cp.async: bad source size", loc);
  CopyAsync c{dst, src, bytes, src_bytes, w.self->copy_group};
  if (w.lazy()) {
    std::memset(dst, 0xFF, size_t(bytes));  // reading before the wait gives NaN
    w.self->copies.push_back(c);
  } else {
    w.complete_copy(c);
  }
}
void cp_async_commit(Loc) { ++worker().self->copy_group; }
void cp_async_wait(int newest, Loc) {
  Quiet quiet;
  Worker& w = worker();
  Thread& t = *w.self;
  std::erase_if(t.copies, [&](const CopyAsync& c) {
    if (c.group >= t.copy_group - newest) return false;
    w.complete_copy(c);
    return true;
  });
}

// ------------------------------------------------------------------ mbarrier
// 64-bit object: | 62: valid | 61: phase | 41..60: expected | 21..40: pending | 0..20: tx + 2^20 |
namespace {
constexpr int64_t tx_zero = 1 << 20;
struct MBarrier {
  bool phase;
  uint32_t expected, pending;
  int64_t tx;
};
MBarrier unpack(Worker& w, uint64_t* bar, const char* what, Loc loc) {
  w.check_shared(bar, 8, 8, what, loc);
  const uint64_t v = *bar;
  if (v >> 62 != 1) w.fail(std::string(what) + ": mbarrier is not initialised (or was overwritten)", loc);
  return {bool(v >> 61 & 1), uint32_t(v >> 41 & 0xFFFFF), uint32_t(v >> 21 & 0xFFFFF), int64_t(v & 0x1FFFFF) - tx_zero};
}
uint64_t pack(const MBarrier& m) {
  return 1ull << 62 | uint64_t(m.phase) << 61 | uint64_t(m.expected) << 41 | uint64_t(m.pending) << 21 |
         uint64_t(m.tx + tx_zero);
}
}  // namespace

void Worker::mbarrier_update(uint64_t* bar, int arrivals, int64_t tx, Loc loc) {
  MBarrier m = unpack(*this, bar, "mbarrier", loc);
  m.tx += tx;
  if (m.tx >= tx_zero || m.tx <= -tx_zero) fail("mbarrier: transaction count out of range", loc);
  if (uint32_t(arrivals) > m.pending) fail("mbarrier: more arrivals in one phase than it was initialised for", loc);
  m.pending -= uint32_t(arrivals);
  if (m.pending == 0 && m.tx == 0) {
    const uint32_t completed = m.phase;
    m.phase = !m.phase;
    m.pending = m.expected;
    for (int i = 0; i < count; ++i) {
      Thread& t = *threads[i];
      if (t.state == Thread::waiting && t.wait_object == bar && t.wait_parity == completed) wake(t);
    }
  }
  *bar = pack(m);
}

void mbarrier_init(uint64_t* bar, uint32_t n, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  w.check_shared(bar, 8, 8, "mbarrier.init", loc);
  if (n == 0 || n >= 1u << 20) w.fail("mbarrier.init: bad count", loc);
  tsan_write(bar, 8);
  *bar = pack({false, n, n, 0});
}
void mbarrier_expect_tx(uint64_t* bar, uint32_t bytes, Loc loc) {
  Quiet quiet;
  worker().mbarrier_update(bar, 0, bytes, loc);
}
void mbarrier_arrive(uint64_t* bar, uint32_t n, uint32_t expect_tx, Loc loc) {
  Quiet quiet;
  tsan_release(bar);
  worker().mbarrier_update(bar, int(n), expect_tx, loc);
}
bool mbarrier_test_parity(uint64_t* bar, uint32_t parity, bool may_block, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  if (unpack(w, bar, "mbarrier.try_wait", loc).phase != bool(parity)) {
    tsan_acquire(bar);
    return true;
  }
  if (may_block && w.rng.below(8) != 0) {
    w.self->wait_parity = parity;
    w.park("mbarrier.try_wait", loc, bar);
    if (unpack(w, bar, "mbarrier.try_wait", loc).phase == bool(parity)) return false;
    tsan_acquire(bar);
    return true;
  }
  // spurious failure (allowed), but others get their turn
  w.yield();
  return false;
}

// ------------------------------------------------------------------ the async proxy's view of shared memory
// wgmma and TMA stores read this copy. TMA loads write both; ordinary writes get here by
// fence.proxy.async only, so a forgotten fence shows as NaN or stale data.
void Worker::use_async_view() {
  if (async_view.empty()) async_view.assign(arena_bytes, 0xFF);
}
void fence_proxy_async(Loc) {
  Quiet quiet;
  Worker& w = worker();
  w.use_async_view();
  std::memcpy(w.async_view.data() + Worker::dynamic_base, w.arena + Worker::dynamic_base, w.dynamic_bytes);
}

// ------------------------------------------------------------------ TMA
namespace {
struct MapFields {  // what the emulator keeps in a TensorMap
  uint64_t magic;
  unsigned char* base;
  uint64_t stride[4];
  uint32_t dim[5];
  uint16_t box[5];
  uint8_t rank, swizzle;
};
static_assert(sizeof(MapFields) <= sizeof(TensorMap));
constexpr uint64_t tensor_map_magic = 0x73696D74746D6170;

MapFields decode(Worker& w, const TensorMap& m, Loc loc) {
  MapFields t;
  std::memcpy(&t, &m, sizeof t);
  if (t.magic != tensor_map_magic) w.fail("TMA: not a tensor map", loc);
  return t;
}
size_t box_elements(const MapFields& t) {
  size_t n = 1;
  for (int d = 0; d < t.rank; ++d) n *= t.box[d];
  return n;
}
}  // namespace

TensorMap make_tensor_map_bf16(const TensorMapSpec& s) {
  MapFields t{};
  auto need = [](bool ok, const char* what) {
    if (!ok) throw Error(std::string("tensor map: ") + what);
  };
  const size_t rank = s.dims.size();
  need(rank >= 1 && rank <= 5 && s.strides.size() + 1 == rank && s.box.size() == rank, "bad rank");
  need(reinterpret_cast<uintptr_t>(s.base) % 16 == 0, "base must be 16-byte aligned");
  need(s.swizzle_bytes == 0 || s.swizzle_bytes == 128, "only swizzle 0 and 128 here");
  need(s.swizzle_bytes == 0 || s.box[0] * 2 <= 128, "inner box must be at most 128 bytes with the 128-byte swizzle");
  need(s.box[0] * 2 % 16 == 0, "inner box must be a multiple of 16 bytes");
  for (size_t d = 0; d < rank; ++d) {
    need(s.dims[d] >= 1 && s.dims[d] <= 1ull << 32, "bad dim");
    need(s.box[d] >= 1 && s.box[d] <= 256, "box dims are 1..256");
    t.dim[d] = uint32_t(s.dims[d]);
    t.box[d] = uint16_t(s.box[d]);
    if (d) {
      need(s.strides[d - 1] % 16 == 0, "strides must be multiples of 16 bytes");
      need(s.strides[d - 1] < 1ull << 40, "stride too large");
      t.stride[d - 1] = s.strides[d - 1];
    }
  }
  t.magic = tensor_map_magic;
  t.base = static_cast<unsigned char*>(s.base);
  t.rank = uint8_t(rank);
  t.swizzle = uint8_t(s.swizzle_bytes);
  TensorMap m{};
  std::memcpy(&m, &t, sizeof t);
  return m;
}

void Worker::complete_tma(TmaOp& op) {
  void* completed = op.is_load ? static_cast<void*>(op.bar) : &threads[size_t(op.issuer)]->store_group;
  OnEngine engine(*this, &threads[size_t(op.issuer)]->copies, completed);
  const MapFields t = decode(*this, op.map, Loc::current());
  const size_t base = size_t(static_cast<unsigned char*>(op.smem) - arena);
  const size_t rows = box_elements(t) / t.box[0];
  counts.tma_bytes += box_elements(t) * 2;
  for (size_t r = 0; r < rows; ++r) {
    unsigned char* g = t.base;  // global address of this row's element 0
    bool inside = true;
    size_t rest = r;
    for (int d = 1; d < t.rank; ++d) {
      const int64_t c = op.coord[d] + int64_t(rest % t.box[d]);
      rest /= t.box[d];
      inside = inside && c >= 0 && c < int64_t(t.dim[d]);
      g += c * int64_t(t.stride[d - 1]);
    }
    for (int x = 0; x < t.box[0]; x += 8) {  // 16-byte chunks
      const size_t linear = base + (r * t.box[0] + size_t(x)) * 2;
      const size_t at = t.swizzle == 128 ? swizzle128(linear) : linear;
      for (int e = 0; e < 8; ++e) {
        const int64_t c = op.coord[0] + x + e;
        const bool in = inside && c >= 0 && c < int64_t(t.dim[0]);
        if (op.is_load) {
          uint16_t v = 0;  // outside the tensor: zero
          if (in) std::memcpy(&v, g + c * 2, 2), tsan_read(g + c * 2, 2);
          std::memcpy(arena + at + e * 2, &v, 2);
          std::memcpy(async_view.data() + at + e * 2, &v, 2);
        } else if (in) {
          std::memcpy(g + c * 2, async_view.data() + at + e * 2, 2);
          tsan_write(g + c * 2, 2);
        }
      }
    }
  }
  if (op.is_load)
    tsan_write(op.smem, box_elements(t) * 2), mbarrier_update(op.bar, 0, -int64_t(box_elements(t) * 2), Loc::current());
}

void tma_load(void* dst, const TensorMap* map, uint64_t* bar, const int* coord, int rank, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  w.use_async_view();
  const MapFields t = decode(w, *map, loc);
  if (rank != t.rank) w.fail("TMA load: rank differs from the tensor map's", loc);
  const size_t bytes = box_elements(t) * 2;
  w.check_shared(dst, bytes, 128, "TMA load destination", loc);
  w.check_shared(bar, 8, 8, "TMA load mbarrier", loc);
  std::memset(dst, 0xFF, bytes);
  std::memset(w.async_view.data() + (static_cast<unsigned char*>(dst) - w.arena), 0xFF, bytes);
  TmaOp op{true, dst, *map, bar};
  op.issuer = w.self->index;
  tsan_release(&w.self->copies);
  std::copy(coord, coord + rank, op.coord);
  op.rank = rank;
  if (w.cfg.async == Async::eager)
    w.complete_tma(op);
  else
    w.pending_tma.push_back(op);
}
void tma_store(const TensorMap* map, const void* src, const int* coord, int rank, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  w.use_async_view();
  const MapFields t = decode(w, *map, loc);
  if (rank != t.rank) w.fail("TMA store: rank differs from the tensor map's", loc);
  w.check_shared(src, box_elements(t) * 2, 128, "TMA store source", loc);
  TmaOp op{false, const_cast<void*>(src), *map};
  op.issuer = w.self->index;
  tsan_release(&w.self->copies);
  std::copy(coord, coord + rank, op.coord);
  op.rank = rank;
  op.group = w.self->store_group;
  // kept until the wait even when eager: ending without a wait is an error
  w.self->stores.push_back(op);
  if (!w.lazy()) w.complete_tma(op);
}
void tma_store_commit(Loc) { ++worker().self->store_group; }
void tma_store_wait(int newest, Loc) {
  Quiet quiet;
  Worker& w = worker();
  Thread& t = *w.self;
  std::erase_if(t.stores, [&](TmaOp& op) {
    if (op.group >= t.store_group - newest) return false;
    w.complete_tma(op);
    return true;
  });
  tsan_acquire(&t.store_group);
}

// ------------------------------------------------------------------ wgmma
namespace {
/// Address of the 16-byte chunk with elements (row, k..k+7) of a K-major operand, or
/// (row..row+7, k) of an M/N-major one; 128-byte swizzle.
size_t chunk_address(uint64_t desc, bool mn_major, int row, int k) {
  const size_t start = (desc & 0x3FFF) << 4, lbo = (desc >> 16 & 0x3FFF) << 4, sbo = (desc >> 32 & 0x3FFF) << 4;
  return swizzle128(mn_major ? start + size_t(row / 64) * lbo + size_t(row % 64) * 2 + size_t(k % 8) * 128 +
                                   size_t(k / 8) * sbo
                             : start + size_t(row / 8) * sbo + size_t(row % 8) * 128 + size_t(k) * 2);
}
/// rows x 16 operand as out[k][row] floats.
void fetch_operand(Worker& w, uint64_t desc, bool mn_major, int first_row, int rows, float* out) {
  uint16_t e[8];
  auto read = [&](int row, int k) {
    const size_t a = chunk_address(desc, mn_major, row, k);
    if (a < Worker::dynamic_base || a + 16 > Worker::dynamic_base + w.dynamic_bytes)
      throw Error("wgmma: operand outside the block's dynamic shared memory (offset " + std::to_string(a) + ")");
    std::memcpy(e, w.async_view.data() + a, 16);
    tsan_read(w.arena + a, 16);
  };
  if (mn_major) {
    for (int k = 0; k < 16; ++k)
      for (int r = 0; r < rows; r += 8) {
        read(first_row + r, k);
        for (int i = 0; i < 8; ++i) out[k * rows + r + i] = bf16(e[i]);
      }
  } else {
    for (int r = 0; r < rows; ++r)
      for (int k = 0; k < 16; k += 8) {
        read(first_row + r, k);
        for (int i = 0; i < 8; ++i) out[(k + i) * rows + r] = bf16(e[i]);
      }
  }
}
}  // namespace

void Worker::complete_wgmma(WgmmaOp& op) {
  WarpGroup& g = warpgroups[size_t(op.warpgroup)];
  OnEngine engine(*this, &g.issued_tag, &g.completed_tag);
  const int n = op.n, regs = n / 2;
  ++counts.wgmma;
  scratch.resize(16 * 64 + 16 * 256 + 64 * 256);  // too large for a fiber's stack
  float *a = scratch.data(), *b = a + 16 * 64, *c = b + 16 * 256;
  fetch_operand(*this, op.desc_a, op.mn_major_a, 0, 64, a);
  fetch_operand(*this, op.desc_b, op.mn_major_b, 0, n, b);
  // Lane l of warp w holds, for each 8-column group g: rows 16w + l/4 (+8), columns 8g + l%4*2 (+1).
  auto each = [&](auto f) {
    for (int t = 0; t < 128; ++t)
      for (int i = 0; i < regs; ++i)
        f(t, i, c[(t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8) * n + i / 4 * 8 + t % 4 * 2 + i % 2]);
  };
  each([&](int t, int i, float& v) {
    const auto& saved = op.saved[t / 32];
    v = !op.accumulate ? 0 : saved.empty() ? op.d[t][i] : saved[size_t(t % 32 * regs + i)];
  });
  for (int i = 0; i < 64; ++i)
    for (int k = 0; k < 16; ++k) {
      const float x = a[k * 64 + i];
      for (int j = 0; j < n; ++j) c[i * n + j] += x * b[k * n + j];
    }
  each([&](int t, int i, float& v) { op.d[t][i] = v; });
  op.done = true;
}

void wgmma_fence(Loc loc) {
  Quiet quiet;
  worker().meet(~0u, "wgmma.fence", true, nullptr, loc, [](Worker&, Warp& w, Rendezvous&) { w.wgmma_fenced = true; });
}

namespace {
struct Wgmma {
  WgmmaOp op;
  float* d;
  Loc loc;
};

void issue_wgmma(Worker& w, Warp& warp, Rendezvous& r) {
  Wgmma& mine = *static_cast<Wgmma*>(r.payload[0]);
  WarpGroup& g = w.warpgroups[size_t(warp.index / 4)];
  const uint64_t seq = warp.wgmma_issued++;
  if (seq == g.first + g.ops.size()) g.ops.push_back(mine.op);
  WgmmaOp& op = g.ops[seq - g.first];
  auto same = [](const WgmmaOp& x, const WgmmaOp& y) {
    return x.n == y.n && x.desc_a == y.desc_a && x.desc_b == y.desc_b && x.accumulate == y.accumulate &&
           x.group == y.group;
  };
  for (int l = 0; l < 32; ++l)
    if (!same(op, mine.op) || !same(static_cast<Wgmma*>(r.payload[l])->op, static_cast<Wgmma*>(r.payload[0])->op))
      w.fail("wgmma: operands differ within the warpgroup", mine.loc);
  const int quarter = warp.index % 4;
  bool chained = false;  // accumulators already in flight: nothing to save
  for (auto& q : g.ops) chained = chained || (!q.done && &q != &op && q.d[quarter * 32] == mine.d);
  for (int l = 0; l < 32; ++l) {
    float* d = op.d[quarter * 32 + l] = static_cast<Wgmma*>(r.payload[l])->d;
    if (!chained) {
      op.saved[quarter].insert(op.saved[quarter].end(), d, d + op.n / 2);
      std::memset(d, 0xFF, size_t(op.n / 2) * 4);
    }
  }
  op.issued |= 1u << quarter;
  if (op.issued != 15) return;
  bool first = true;
  for (auto& q : g.ops) first = first && (q.done || &q == &op);
  if (first && !w.lazy()) w.complete_wgmma(op);
  for (int i = 0; i < w.count; ++i)  // warps waiting for this one to catch up
    if (w.threads[size_t(i)]->state == Thread::waiting && w.threads[size_t(i)]->wait_object == &g)
      w.wake(*w.threads[size_t(i)]);
}
}  // namespace

void wgmma_mma_bf16(float* d, int n, uint64_t desc_a, uint64_t desc_b, bool accumulate, bool mn_a, bool mn_b, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Warp& warp = *w.self->warp;
  if (w.warps.size() < size_t(warp.index | 3) + 1) w.fail("wgmma: the warpgroup is not complete", loc);
  if (!warp.wgmma_fenced) w.fail("wgmma: no wgmma.fence since the accumulators were last touched", loc);
  for (uint64_t desc : {desc_a, desc_b})
    if (desc >> 62 != 1 || (desc >> 49 & 7))
      w.fail("wgmma: only the 128-byte swizzle with base offset 0 is emulated", loc);
  w.use_async_view();
  tsan_release(&w.warpgroups[size_t(warp.index / 4)].issued_tag);
  Wgmma p{};
  p.op.warpgroup = warp.index / 4;
  p.op.group = warp.wgmma_group, p.op.n = n, p.op.desc_a = desc_a, p.op.desc_b = desc_b, p.op.accumulate = accumulate,
  p.op.mn_major_a = mn_a, p.op.mn_major_b = mn_b;
  p.d = d;
  p.loc = loc;
  w.meet(~0u, "wgmma.mma_async", true, &p, loc, issue_wgmma);
}
void wgmma_commit(Loc loc) {
  Quiet quiet;
  worker().meet(~0u, "wgmma.commit_group", true, nullptr, loc, [](Worker&, Warp& w, Rendezvous&) { ++w.wgmma_group; });
}
void wgmma_wait(int newest, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Warp& warp = *w.self->warp;
  WarpGroup& g = w.warpgroups[size_t(warp.index / 4)];
  w.meet(~0u, "wgmma.wait_group", true, nullptr, loc, [](Worker&, Warp&, Rendezvous&) {});
  const int before = warp.wgmma_group - newest;  // groups that must be complete
  for (;;) {
    auto op = std::find_if(g.ops.begin(), g.ops.end(), [&](const WgmmaOp& o) { return !o.done && o.group < before; });
    if (op == g.ops.end()) break;
    if (op->issued != 15)
      w.park("wgmma.wait_group (for the other warps of the warpgroup)", loc, &g);
    else
      w.complete_wgmma(*op);
  }
  while (!g.ops.empty() && g.ops.front().done) g.ops.pop_front(), ++g.first;
  tsan_acquire(&g.completed_tag);
  if (newest == 0) warp.wgmma_fenced = false;
}
}  // namespace kagami::emulator
