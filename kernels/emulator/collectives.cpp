// Where threads meet: barriers of a block, and the collective operations of a warp.
#include "kernels/emulator/fibers.h"

namespace kagami::emulator {
namespace detail {
void Worker::meet(unsigned mask, const char* what, bool aligned, void* payload, Loc loc, Rendezvous::Finish finish) {
  Thread& me = *self;
  Warp& w = *me.warp;
  const unsigned bit = 1u << me.lane, whole = w.size == 32 ? ~0u : (1u << w.size) - 1;
  if (aligned && (whole != ~0u || w.exited)) fail(std::string(what) + ": not all 32 lanes of the warp are there", loc);
  mask &= whole;
  if (!(mask & bit)) fail(std::string(what) + ": the calling lane is not in the mask", loc);
  Rendezvous* r = nullptr;
  for (auto& p : w.pending)
    if (p.mask == mask) r = &p;
  if (!r) {
    r = &w.pending.emplace_back();
    r->mask = mask;
    r->what = what;
    r->loc = loc;
    r->finish = finish;
  } else if (r->finish != finish || !same_place(r->loc, loc)) {
    fail("divergent warp: this lane is at " + std::string(what) + " (" + to_string(loc) +
             ") while other lanes of its mask wait at " + r->what + " (" + to_string(r->loc) + ")",
         loc);
  }
  r->arrived |= bit;
  r->payload[me.lane] = payload;
  if (r->arrived == (mask & ~w.exited)) {
    Rendezvous all = *r;
    w.pending.erase(w.pending.begin() + (r - w.pending.data()));
    finish_meeting(w, all);
  } else {
    park(what, loc, &w);
  }
}

void Worker::finish_meeting(Warp& w, Rendezvous& r) {
  r.finish(*this, w, r);
  for (int i = 0; i < w.size; ++i)
    if ((r.arrived >> i & 1) && w.lane[i] != self) wake(*w.lane[i]);
}
}  // namespace detail

using namespace detail;

namespace {
void join(Barrier& b, int id, int expected, bool whole, const char* what, Vote vote, Loc loc) {
  Worker& w = worker();
  if (id < 0 || id > 15 || (!whole && (expected <= 0 || expected % 32)))
    w.fail(std::string(what) + ": bad barrier id or count", loc);
  if (whole && w.live < w.count)
    w.fail(std::string("divergent barrier: ") + what + " although " + std::to_string(w.count - w.live) + " of " +
               std::to_string(w.count) + " threads have already ended",
           loc);
  if (b.arrived) {
    if (b.expected != expected || b.vote != vote)
      w.fail(std::string(what) + ": barrier is in use with another count", loc);
    if (whole && !same_place(b.loc, loc))
      w.fail(std::string("divergent barrier: this thread is at ") + what + " (" + to_string(loc) + ") while " +
                 std::to_string(b.arrived) + " threads wait at " + b.what + " (" + to_string(b.loc) + ")",
             loc);
  }
  b.expected = expected;
  b.what = what;
  b.loc = loc;
  b.vote = vote;
  ++b.arrived;
  tsan_release(&b.sync_tag[b.generation & 1]);
}

void finish(Worker& w, Barrier& b) {
  int result = b.vote == Vote::all ? b.votes == b.expected : b.vote == Vote::any ? b.votes > 0 : b.votes;
  b.arrived = b.votes = 0;
  ++b.generation;
  ++w.counts.barriers;
  auto waiting = std::move(b.waiting);
  b.waiting.clear();
  for (Thread* t : waiting) t->vote_result = result, w.wake(*t);
  w.self->vote_result = result;
  waiting.clear();
  b.waiting = std::move(waiting);  // keep the capacity
}

int sync(int id, int expected, bool whole, const char* what, Vote vote, int pred, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Barrier& b = w.barriers[id & 15];
  join(b, id, expected, whole, what, vote, loc);
  b.votes += pred != 0;
  const unsigned generation = b.generation;
  if (b.arrived == expected) {
    finish(w, b);
  } else {
    b.waiting.push_back(w.self);
    w.park(what, loc, &b);
  }
  tsan_acquire(&b.sync_tag[generation & 1]);
  return w.self->vote_result;
}
}  // namespace

void bar_sync(int id, int threads, bool whole, const char* what, Loc loc) {
  sync(id, whole ? worker().count : threads, whole, what, Vote::none, 0, loc);
}
int bar_vote(Vote v, int pred, Loc loc) { return sync(0, worker().count, true, "__syncthreads_*", v, pred, loc); }
void bar_arrive(int id, int threads, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Barrier& b = w.barriers[id & 15];
  join(b, id, threads, false, "bar.arrive", Vote::none, loc);
  if (b.arrived == b.expected) finish(w, b);
}

namespace {
struct Shuffle {
  uint64_t in, out;
  int arg, width;
  Shfl kind;
};
struct Ballot {
  int pred;
  uint32_t ballot;
};
}  // namespace

uint64_t warp_shuffle(Shfl kind, unsigned mask, uint64_t value, int arg, int width, Loc loc) {
  Quiet quiet;
  Shuffle s{value, 0, arg, width, kind};
  worker().meet(mask, "__shfl_sync", false, &s, loc, [](Worker& worker, Warp& w, Rendezvous& r) {
    ++worker.counts.shuffles;
    for (int l = 0; l < w.size; ++l) {
      if (!(r.arrived >> l & 1)) continue;
      Shuffle& me = *static_cast<Shuffle*>(r.payload[l]);
      const int first = l & ~(me.width - 1), last = first + me.width - 1;
      int src = me.kind == Shfl::idx    ? first + (me.arg & (me.width - 1))
                : me.kind == Shfl::up   ? l - me.arg
                : me.kind == Shfl::down ? l + me.arg
                                        : l ^ me.arg;
      if (src < first || src > last) src = l;
      me.out = r.arrived >> src & 1 ? static_cast<Shuffle*>(r.payload[src])->in : ~0ull;  // inactive source: poison
    }
  });
  return s.out;
}

uint32_t warp_vote(Vote kind, unsigned mask, int pred, Loc loc) {
  Quiet quiet;
  Ballot b{pred, 0};
  worker().meet(mask, "__vote_sync", false, &b, loc, [](Worker&, Warp& w, Rendezvous& r) {
    uint32_t bits = 0;
    for (int l = 0; l < w.size; ++l)
      if ((r.arrived >> l & 1) && static_cast<Ballot*>(r.payload[l])->pred) bits |= 1u << l;
    for (int l = 0; l < w.size; ++l)
      if (r.arrived >> l & 1) static_cast<Ballot*>(r.payload[l])->ballot = bits;
  });
  return kind == Vote::any ? b.ballot != 0 : kind == Vote::all ? b.ballot == mask : b.ballot;
}

void warp_sync(unsigned mask, Loc loc) {
  Quiet quiet;
  Worker& w = worker();
  Warp& warp = *w.self->warp;
  void* tag = &warp.sync_tag[warp.generation & 1];
  tsan_release(tag);
  w.meet(mask, "__syncwarp", false, nullptr, loc, [](Worker&, Warp& me, Rendezvous&) { ++me.generation; });
  tsan_acquire(tag);
}

}  // namespace kagami::emulator
