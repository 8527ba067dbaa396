// wgmma: asynchronous products of a warpgroup, operands in shared memory.
#include <algorithm>
#include <cstring>

#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
using namespace detail;
namespace {

float widened(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

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
        for (int i = 0; i < 8; ++i) out[k * rows + r + i] = widened(e[i]);
      }
  } else {
    for (int r = 0; r < rows; ++r)
      for (int k = 0; k < 16; k += 8) {
        read(first_row + r, k);
        for (int i = 0; i < 8; ++i) out[(k + i) * rows + r] = widened(e[i]);
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
  w.require_arch(90, "wgmma", loc);
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
