// TMA: tensor maps, tile copies in both directions, and the asynchronous proxy's view of shared memory.
#include <algorithm>
#include <cstring>

#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
using namespace detail;
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

}  // namespace kagami::emulator

namespace kagami {
TensorMap make_tensor_map_bf16(const TensorMapSpec& s) {
  emulator::MapFields t{};
  auto need = [](bool ok, const char* what) {
    if (!ok) throw emulator::Error(std::string("tensor map: ") + what);
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
  t.magic = emulator::tensor_map_magic;
  t.base = static_cast<unsigned char*>(s.base);
  t.rank = uint8_t(rank);
  t.swizzle = uint8_t(s.swizzle_bytes);
  TensorMap m{};
  std::memcpy(&m, &t, sizeof t);
  return m;
}
}  // namespace kagami

namespace kagami::emulator {

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
          if (in) touch(g + c * 2, 2), std::memcpy(&v, g + c * 2, 2), tsan_read(g + c * 2, 2);
          std::memcpy(arena + at + e * 2, &v, 2);
          std::memcpy(async_view.data() + at + e * 2, &v, 2);
        } else if (in) {
          touch(g + c * 2, 2, true);
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
  w.require_arch(90, "TMA", loc);
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
  w.require_arch(90, "TMA", loc);
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

}  // namespace kagami::emulator
