// The emulator itself: what threads of a block see of each other, and what it says of a kernel that is wrong.
#if KAGAMI_EMULATED
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cuda/ptx.h"
#include "tests/kernels/cuda_case.h"

namespace kagami {
namespace {

std::vector<int> counting(int n) {
  std::vector<int> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

__global__ void where_am_i(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned index = block * blockDim.x * blockDim.y * blockDim.z + thread;
  out[index] = static_cast<int>(index);
}

TEST(Emulator, EveryThreadOfEveryBlockRunsOnce) {
  under_every_schedule([] {
    OnDevice<int> out(2 * 3 * 4 * 5 * 3 * 7);
    launch<where_am_i>(test_cuda(), dim3{2, 3, 4}, dim3{5, 3, 7}, 0, out.data());
    EXPECT_EQ(out.host(), counting(2 * 3 * 4 * 5 * 3 * 7));
  });
}

__global__ void reverse(const int* in, int* out) {
  KAGAMI_SHARED(tile, int[256]);
  tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[255 - threadIdx.x];
}

struct Pair {
  int first[200];
  alignas(128) int second[200];
};
__global__ void through_dynamic(const int* in, int* out) {
  auto& shared = dynamic_shared<Pair>();
  shared.first[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  shared.second[threadIdx.x] = shared.first[199 - threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = shared.second[199 - threadIdx.x] + 1;
}

TEST(Emulator, SharedMemoryIsTheBlocks) {
  under_every_schedule([] {
    OnDevice<int> in(counting(256)), out(256);
    launch<reverse>(test_cuda(), dim3{1}, dim3{256}, 0, in.data(), out.data());
    std::vector<int> expected = counting(256);
    std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(out.host(), expected);
    launch<through_dynamic>(test_cuda(), dim3{1}, dim3{200}, sizeof(Pair), in.data(), out.data());
    expected = counting(200);
    for (int& value : expected) ++value;
    std::vector<int> got = out.host();
    got.resize(200);
    EXPECT_EQ(got, expected);
  });
}

__global__ void read_unwritten(float* out) {
  KAGAMI_SHARED(fixed, float[32]);
  out[threadIdx.x] = threadIdx.x % 2 ? fixed[threadIdx.x] : dynamic_shared<float[32]>()[threadIdx.x];
}

TEST(Emulator, UnwrittenMemoryHoldsNaN) {
  OnDevice<float> out(33);
  launch<read_unwritten>(test_cuda(), dim3{1}, dim3{32}, 32 * sizeof(float), out.data());
  for (const float value : out.host()) EXPECT_TRUE(std::isnan(value));
}

__global__ void shuffles(int* out) {
  const int me = static_cast<int>(threadIdx.x);
  int* mine = out + me * 6;
  mine[0] = __shfl_sync(~0U, me, 5);
  mine[1] = __shfl_xor_sync(~0U, me, 3);
  mine[2] = __shfl_up_sync(~0U, me, 2);
  mine[3] = __shfl_down_sync(~0U, me, 2, 8);
  mine[4] = static_cast<int>(__shfl_sync(~0U, static_cast<double>(me) / 2, 3, 16) * 2);
  mine[5] = me % 2 ? __shfl_xor_sync(0xAAAAAAAAU, me, 2) : -1;
}

TEST(Emulator, ShufflesMoveValuesBetweenLanes) {
  under_every_schedule([] {
    OnDevice<int> out(64 * 6);
    launch<shuffles>(test_cuda(), dim3{1}, dim3{64}, 0, out.data());
    const std::vector<int> got = out.host();
    for (int i = 0; i < 64; ++i) {
      const int* mine = &got[static_cast<std::size_t>(i) * 6];
      const int warp = i / 32 * 32;
      EXPECT_EQ(mine[0], warp + 5);
      EXPECT_EQ(mine[1], i ^ 3);
      EXPECT_EQ(mine[2], i % 32 < 2 ? i : i - 2);
      EXPECT_EQ(mine[3], i % 8 > 5 ? i : i + 2);
      EXPECT_EQ(mine[4], i / 16 * 16 + 3);
      EXPECT_EQ(mine[5], i % 2 ? i ^ 2 : -1);
    }
  });
}

__global__ void votes(unsigned* out) {
  const int me = static_cast<int>(threadIdx.x);
  unsigned* mine = out + me * 6;
  mine[0] = __ballot_sync(~0U, me % 3 == 0);
  mine[1] = static_cast<unsigned>(__any_sync(~0U, me == 40));
  mine[2] = static_cast<unsigned>(__all_sync(~0U, me < 32));
  mine[3] = static_cast<unsigned>(__syncthreads_count(me % 4 == 0));
  mine[4] = static_cast<unsigned>(__syncthreads_or(me == 63));
  mine[5] = static_cast<unsigned>(__syncthreads_and(me < 63));
}

TEST(Emulator, VotesCountLanesAndThreads) {
  under_every_schedule([] {
    OnDevice<unsigned> out(64 * 6);
    launch<votes>(test_cuda(), dim3{1}, dim3{64}, 0, out.data());
    const std::vector<unsigned> got = out.host();
    unsigned ballot[2] = {};
    for (unsigned i = 0; i < 64; i += 3) ballot[i / 32] |= 1U << i % 32;
    for (unsigned i = 0; i < 64; ++i) {
      EXPECT_EQ(got[i * 6], ballot[i / 32]);
      EXPECT_EQ(got[i * 6 + 1], i / 32);
      EXPECT_EQ(got[i * 6 + 2], 1 - i / 32);
      EXPECT_EQ(got[i * 6 + 3], 16U);
      EXPECT_EQ(got[i * 6 + 4], 1U);
      EXPECT_EQ(got[i * 6 + 5], 0U);
    }
  });
}

__global__ void count_up(unsigned* total, unsigned* largest) {
  atomicAdd(total, 1U);
  atomicMax(largest, blockIdx.x * blockDim.x + threadIdx.x);
}

TEST(Emulator, AtomicsOfManyBlocksAndWorkers) {
  const emulator::Config before = emulator::config();
  emulator::config().workers = 3;
  OnDevice<unsigned> values(std::vector<unsigned>{0, 0});
  launch<count_up>(test_cuda(), dim3{50}, dim3{64}, 0, values.data(), values.data() + 1);
  EXPECT_EQ(values.host(), (std::vector<unsigned>{3200, 3199}));
  emulator::config() = before;
}

// ---- what it says of a kernel that is wrong: the kernel, the block, the threads, the source lines

template <int Limit>
__global__ void barrier_in_a_branch(int* out) {
  if (threadIdx.x < Limit) __syncthreads();
  out[threadIdx.x] = 1;
}

TEST(Emulator, NamesAMissedBarrier) {
  OnDevice<int> out(64);
  const std::string error = error_of([&] {
    launch<barrier_in_a_branch<40>>(test_cuda(), dim3{1}, dim3{64}, 0, out.data());
    out.host();
  });
  EXPECT_TRUE(mentions(error, "divergent barrier"));
  EXPECT_TRUE(mentions(error, "emulator_test.cpp:"));
  EXPECT_TRUE(mentions(error, "barrier_in_a_branch<40>"));
  EXPECT_TRUE(mentions(error, "block (0,0,0)"));
  EXPECT_TRUE(mentions(error, "seed"));
}

__global__ void two_places(int* out) {
  const int value = static_cast<int>(threadIdx.x);
  out[threadIdx.x] = threadIdx.x < 7 ? __shfl_xor_sync(~0U, value, 1) : __shfl_xor_sync(~0U, value, 1);
}

TEST(Emulator, NamesBothPlacesOfADivergedWarp) {
  OnDevice<int> out(32);
  const std::string error = error_of([&] {
    launch<two_places>(test_cuda(), dim3{1}, dim3{32}, 0, out.data());
    out.host();
  });
  EXPECT_TRUE(mentions(error, "divergent warp"));
  EXPECT_TRUE(mentions(error, "lane"));
  const auto first = error.find("emulator_test.cpp:");
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(error.find("emulator_test.cpp:", first + 1), std::string::npos) << error;
}

__global__ void wait_for_nobody(int* out) {
  ptx::bar_sync(1 + static_cast<int>(threadIdx.x) / 64, 96);
  out[threadIdx.x] = 1;
}

TEST(Emulator, ReportsADeadlockByPlace) {
  OnDevice<int> out(128);
  const std::string error = error_of([&] {
    launch<wait_for_nobody>(test_cuda(), dim3{1}, dim3{128}, 0, out.data());
    out.host();
  });
  EXPECT_TRUE(mentions(error, "deadlock: no thread of the block can continue"));
  EXPECT_TRUE(mentions(error, "wait_for_nobody"));
  EXPECT_TRUE(mentions(error, "128 threads wait at bar.sync (emulator_test.cpp:"));
  EXPECT_TRUE(mentions(error, "0-127"));
  EXPECT_TRUE(mentions(error, "barrier 1: 64 of 96 arrived"));
}

__global__ void needs_more(int* out) { out[threadIdx.x] = dynamic_shared<int[64]>()[threadIdx.x]; }

TEST(Emulator, RefusesLaunchesThatDoNotFit) {
  OnDevice<int> out(2048);
  const auto error = [&](dim3 grid, dim3 block, std::size_t shared) {
    return error_of([&] {
      launch<needs_more>(test_cuda(), grid, block, shared, out.data());
      out.host();
    });
  };
  EXPECT_TRUE(mentions(error(dim3{1}, dim3{1025}, 0), "needs_more"));
  EXPECT_TRUE(mentions(error(dim3{0}, dim3{32}, 0), "needs_more"));
  EXPECT_TRUE(mentions(error(dim3{1, 65536}, dim3{32}, 0), "needs_more"));
  EXPECT_TRUE(mentions(error(dim3{1}, dim3{32}, 232449), "shared memory"));
  EXPECT_TRUE(mentions(error(dim3{1}, dim3{64}, 128), "dynamic_shared needs 256 bytes, the launch gave 128"));
}

TEST(Emulator, RefusesAnAddressOfTheHost) {
  std::vector<int> host(256);
  OnDevice<int> in(256);
  const auto error = [&](const int* from, int* to) {
    return error_of([&] { launch<reverse>(test_cuda(), dim3{1}, dim3{256}, 0, from, to); });
  };
  EXPECT_EQ(error(in.data(), in.data()), "");
  EXPECT_TRUE(mentions(error(in.data(), host.data()), "launch of {anonymous}::reverse: argument 2 is an address of"));
  EXPECT_TRUE(mentions(error(host.data(), in.data()), "argument 1 is an address of the host's"));
}

TEST(Emulator, WorksAfterAnError) {
  OnDevice<int> in(counting(256)), out(256);
  EXPECT_NE(error_of([&] {
              launch<barrier_in_a_branch<3>>(test_cuda(), dim3{1}, dim3{64}, 0, out.data());
              out.host();
            }),
            "");
  launch<reverse>(test_cuda(), dim3{1}, dim3{256}, 0, in.data(), out.data());
  EXPECT_EQ(out.host().front(), 255);
}

TEST(Emulator, ABuiltinOutsideAKernelIsAnError) {
  EXPECT_TRUE(mentions(error_of([] { __syncthreads(); }), "outside a kernel"));
}

TEST(Emulator, OneSeedGivesOneRun) {
  const emulator::Config before = emulator::config();
  const auto switches = [&](std::uint64_t seed) {
    emulator::config().order = emulator::Order::random;
    emulator::config().seed = seed;
    OnDevice<unsigned> out(64 * 6);
    const std::uint64_t start = emulator::stats().switches;
    launch<votes>(test_cuda(), dim3{1}, dim3{64}, 0, out.data());
    out.host();
    return emulator::stats().switches - start;
  };
  EXPECT_EQ(switches(3), switches(3));
  emulator::config() = before;
}

}  // namespace
}  // namespace kagami
#endif
