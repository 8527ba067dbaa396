#pragma once
// Sums and maxima of values that several threads hold, always in the same order: no atomics, so that two runs agree to
// the bit. The order depends on shapes only, never on the number of multiprocessors.
//
// Where the CPU sums in double, a GPU sums in float: consumer GPUs do one double addition for 32 to 64 float ones. What
// keeps the error small is the shape of the sum. Within a thread, CompensatedSum keeps what each addition rounds off;
// its five more additions hide behind the load of the value. Across threads the sum is a tree: 5 levels in a warp, then
// the warps one after another, some dozen roundings in all. The error is a few units in the last place whatever the
// length.
#include "kernels/cuda/cuda.h"

namespace kagami::cuda {

constexpr int warp_lanes = 32;

/// A float sum and what its additions rounded off (Knuth's TwoSum). Infinities and NaN come out as in a plain sum.
class CompensatedSum {
 public:
  __device__ void add(float x) {
    const float sum = value_ + x, added = sum - value_;
    lost_ += (value_ - (sum - added)) + (x - added);
    value_ = sum;
  }
  __device__ float total() const { return lost_ == lost_ ? value_ + lost_ : value_; }

 private:
  float value_ = 0, lost_ = 0;
};

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
  template <int N>
  __device__ Vec<float, N> operator()(Vec<float, N> a, const Vec<float, N>& b) const {
    for (int i = 0; i < N; ++i) a[i] += b[i];
    return a;
  }
};
/// NaN is passed over.
struct Larger {
  __device__ float operator()(float a, float b) const { return b > a ? b : a; }
};

__device__ inline float from_lane_xor(float value, int mask) { return __shfl_xor_sync(~0U, value, mask); }
template <int N>
__device__ Vec<float, N> from_lane_xor(Vec<float, N> value, int mask) {
  for (int i = 0; i < N; ++i) value[i] = from_lane_xor(value[i], mask);
  return value;
}

/// Every lane of the warp gets the result. All 32 lanes take part. combine(a, b) is combine(b, a), to the bit.
template <class T, class Combine>
__device__ T warp_reduce(T value, Combine combine) {
#pragma unroll
  for (int mask = warp_lanes / 2; mask > 0; mask /= 2) value = combine(value, from_lane_xor(value, mask));
  return value;
}

/// Every thread of the block gets the result. All threads take part.
template <int Threads, class T, class Combine>
__device__ T block_reduce(T value, Combine combine) {
  constexpr int warps = Threads / warp_lanes;
  static_assert(Threads % warp_lanes == 0 && warps <= warp_lanes);
  KAGAMI_SHARED(of_warp, T[warps]);
  value = warp_reduce(value, combine);
  __syncthreads();  // the reduction before may still be read
  if (threadIdx.x % warp_lanes == 0) of_warp[threadIdx.x / warp_lanes] = value;
  __syncthreads();
  value = of_warp[0];
#pragma unroll
  for (int w = 1; w < warps; ++w) value = combine(value, of_warp[w]);
  return value;
}

/// Who works on one row of values, in blocks of `team_threads`: member `rank` takes values rank, rank + size, ...
constexpr int team_threads = 256;

/// A thread: for rows that lie side by side in memory, element by element.
struct OneThread {
  static constexpr int size = 1, rows_per_block = team_threads;
  __device__ static int rank() { return 0; }
  __device__ static int row_of_block() { return static_cast<int>(threadIdx.x); }
  template <class T, class Combine>
  __device__ static T reduce(T value, Combine) {
    return value;
  }
};
/// A warp: for short rows.
struct OneWarp {
  static constexpr int size = warp_lanes, rows_per_block = team_threads / warp_lanes;
  __device__ static int rank() { return static_cast<int>(threadIdx.x) % warp_lanes; }
  __device__ static int row_of_block() { return static_cast<int>(threadIdx.x) / warp_lanes; }
  template <class T, class Combine>
  __device__ static T reduce(T value, Combine combine) {
    return warp_reduce(value, combine);
  }
};
struct WholeBlock {
  static constexpr int size = team_threads, rows_per_block = 1;
  __device__ static int rank() { return static_cast<int>(threadIdx.x); }
  __device__ static int row_of_block() { return 0; }
  template <class T, class Combine>
  __device__ static T reduce(T value, Combine combine) {
    return block_reduce<team_threads>(value, combine);
  }
};
/// Rows up to this length are a warp's.
constexpr std::int64_t longest_warp_row = 512;

/// The row of this thread's team.
template <class Team>
__device__ std::int64_t team_row() {
  return static_cast<std::int64_t>(blockIdx.x) * Team::rows_per_block + Team::row_of_block();
}

/// Sum over the row of term(i), i in [0, count), known to the whole team.
template <class Team, class Term>
__device__ float team_sum(std::int64_t count, Term term) {
  CompensatedSum sum;
  for (std::int64_t i = Team::rank(); i < count; i += Team::size) sum.add(term(i));
  return Team::reduce(sum.total(), Add{});
}

/// Calls f(team) with the team for rows of `length` neighbours in memory.
template <class F>
void with_team(std::int64_t length, F&& f) {
  if (length <= longest_warp_row) return f(OneWarp{});
  f(WholeBlock{});
}

/// One team a row. Of no row nothing is launched.
template <class Team, auto Kernel, class... Args>
void launch_teams(const Cuda& device, std::int64_t rows, Args... args) {
  if (rows <= 0) return;
  const std::int64_t blocks = (rows + Team::rows_per_block - 1) / Team::rows_per_block;
  launch<Kernel>(device, dim3{static_cast<std::uint32_t>(blocks)}, dim3{team_threads}, 0, args...);
}

}  // namespace kagami::cuda
