// One test per instruction of kernels/cuda/ptx.h, against its definition written out. The same source runs in the
// emulator and on a GPU: what passes on both pins the emulator to the hardware.
#if KAGAMI_HAS_CUDA
#include <cstring>

#include "kernels/cuda/ptx.h"
#include "tests/kernels/cuda_case.h"
#include "tests/kernels/cuda_values.h"

namespace kagami {
namespace {

// ---- tensor cores of sm_80

__global__ void ldmatrix_both(const bf16* in, std::uint32_t* out) {
  KAGAMI_SHARED(tile, uint4[32]);
  tile[threadIdx.x] = reinterpret_cast<const uint4*>(in)[threadIdx.x];
  __syncwarp();
  std::uint32_t plain[4], transposed[4];
  ptx::ldmatrix_x4(plain, &tile[threadIdx.x]);
  ptx::ldmatrix_x4_trans(transposed, &tile[threadIdx.x]);
  for (int i = 0; i < 4; ++i) {
    out[threadIdx.x * 8 + i] = plain[i];
    out[threadIdx.x * 8 + 4 + i] = transposed[i];
  }
}

TEST(Ptx, LdmatrixPlainAndTransposed) {
  const std::vector<bf16> x = random_bf16(256, 4);
  const auto at = [&](int matrix, int row, int column) {
    return std::uint32_t{x[static_cast<std::size_t>(matrix * 64 + row * 8 + column)].bits};
  };
  under_every_schedule([&] {
    OnDevice<bf16> in(x);
    OnDevice<std::uint32_t> out(256);
    launch<ldmatrix_both>(test_cuda(), dim3{1}, dim3{32}, 0, in.data(), out.data());
    const std::vector<std::uint32_t> got = out.host();
    for (int lane = 0; lane < 32; ++lane)
      for (int m = 0; m < 4; ++m) {
        const int row = lane / 4, column = lane % 4 * 2;
        const auto mine = static_cast<std::size_t>(lane * 8 + m);
        EXPECT_EQ(got[mine], at(m, row, column) | at(m, row, column + 1) << 16);
        EXPECT_EQ(got[mine + 4], at(m, column, row) | at(m, column + 1, row) << 16);
      }
  });
}

__global__ void one_mma_bf16(const bf16* a, const bf16* b, const float* c, float* d) {
  const int group = threadIdx.x / 4, pair = threadIdx.x % 4 * 2;
  const auto two = [](const bf16* first) { return first[0].bits | std::uint32_t{first[1].bits} << 16; };
  std::uint32_t ra[4], rb[2];
  float rc[4], rd[4];
  for (int i = 0; i < 4; ++i) ra[i] = two(a + (group + i % 2 * 8) * 16 + pair + i / 2 * 8);
  for (int i = 0; i < 2; ++i) rb[i] = two(b + group * 16 + pair + i * 8);
  for (int i = 0; i < 4; ++i) rc[i] = c[(group + i / 2 * 8) * 8 + pair + i % 2];
  ptx::mma_m16n8k16_bf16(rd, ra, rb, rc);
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + pair + i % 2] = rd[i];
}

__global__ void one_mma_tf32(const float* a, const float* b, const float* c, float* d) {
  const int group = threadIdx.x / 4, in_group = threadIdx.x % 4;
  std::uint32_t ra[4], rb[2];
  float rc[4], rd[4];
  for (int i = 0; i < 4; ++i) ra[i] = ptx::to_tf32(a[(group + i % 2 * 8) * 8 + in_group + i / 2 * 4]);
  for (int i = 0; i < 2; ++i) rb[i] = ptx::to_tf32(b[group * 8 + in_group + i * 4]);
  for (int i = 0; i < 4; ++i) rc[i] = c[(group + i / 2 * 8) * 8 + in_group * 2 + i % 2];
  ptx::mma_m16n8k8_tf32(rd, ra, rb, rc);
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + in_group * 2 + i % 2] = rd[i];
}

template <auto Kernel, class T>
double mma_error(const std::string& name, int k, const std::vector<T>& a, const std::vector<T>& b) {
  const std::vector<float> c = random_floats(16 * 8, 3);
  std::vector<double> want = product_with_transpose(16, 8, k, a, b);
  for (std::size_t i = 0; i < c.size(); ++i) want[i] += static_cast<double>(c[i]);
  OnDevice<T> on_a(a), on_b(b);
  OnDevice<float> on_c(c), on_d(c.size());
  launch<Kernel>(test_cuda(), dim3{1}, dim3{32}, 0, on_a.data(), on_b.data(), on_c.data(), on_d.data());
  compare_with_hardware(name, on_d.host());
  return relative_error(on_d.host(), want);
}

TEST(Ptx, MmaM16N8K16OfBf16) {
  under_every_schedule([] {
    EXPECT_TRUE((mma_error<one_mma_bf16>("mma_bf16", 16, random_bf16(16 * 16, 1), random_bf16(8 * 16, 2)) <= 1e-6));
  });
}

TEST(Ptx, MmaM16N8K8OfTf32) {
  std::vector<float> a = random_floats(16 * 8, 1), b = random_floats(8 * 8, 2);
  under_every_schedule([&] {
    const double rounded_inside = mma_error<one_mma_tf32>("mma_tf32_rounded", 8, a, b);
    EXPECT_TRUE(rounded_inside > 1e-6 && rounded_inside <= 1e-3) << rounded_inside;
  });
  for (auto* values : {&a, &b})
    for (float& x : *values) x = static_cast<float>(bf16(x));  // exact in tf32
  under_every_schedule([&] { EXPECT_TRUE(mma_error<one_mma_tf32>("mma_tf32", 8, a, b) <= 1e-6); });
}

__global__ void round_to_tf32(const float* in, std::uint32_t* out) { out[threadIdx.x] = ptx::to_tf32(in[threadIdx.x]); }

TEST(Ptx, ToTf32RoundsTiesAwayFromZero) {
  const float unit = std::ldexp(1.0F, -10);  // of the last place beside 1
  OnDevice<float> in(std::vector<float>{1.0F, 1 + unit / 2, 1 + unit * 0.49F, 1 + unit * 1.5F, -1 - unit / 2, 0.0F,
                                        std::ldexp(1.0F, 100), -3.0F});
  OnDevice<std::uint32_t> out(8);
  launch<round_to_tf32>(test_cuda(), dim3{1}, dim3{8}, 0, in.data(), out.data());
  const std::vector<float> want{1.0F, 1 + unit, 1.0F, 1 + 2 * unit, -1 - unit, 0.0F, std::ldexp(1.0F, 100), -3.0F};
  const std::vector<std::uint32_t> got = out.host();
  for (std::size_t i = 0; i < want.size(); ++i) {
    float value;
    const std::uint32_t read = got[i] & 0xFFFFE000U;  // what the product reads of it
    std::memcpy(&value, &read, sizeof value);
    EXPECT_EQ(value, want[i]) << i;
  }
}

// ---- copies and barriers

__global__ void copy_parts(const float4* in, float4* out) {
  KAGAMI_SHARED(tile, float4[17]);
  ptx::cp_async_16(&tile[threadIdx.x], in + threadIdx.x, static_cast<int>(threadIdx.x));
  ptx::cp_async_commit();
  ptx::cp_async_wait_group<0>();
  out[threadIdx.x] = tile[threadIdx.x];
}

TEST(Ptx, CpAsyncFillsWithZeros) {
  const std::vector<unsigned char> bytes(17 * 16, 0xAB);
  std::vector<float4> values(17);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  under_every_schedule([&] {
    OnDevice<float4> in(values), out(17);
    launch<copy_parts>(test_cuda(), dim3{1}, dim3{17}, 0, in.data(), out.data());
    std::vector<unsigned char> got(17 * 16);
    std::memcpy(got.data(), out.host().data(), got.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], i % 16 < i / 16 ? 0xAB : 0) << i;
  });
}

__global__ void three_stages(const float* in, float* out, int tiles) {
  KAGAMI_SHARED(stage, float4[3][32]);
  const auto fill = [&](int t) {
    if (t < tiles) ptx::cp_async_16(&stage[t % 3][threadIdx.x], in + t * 128 + threadIdx.x * 4);
    ptx::cp_async_commit();
  };
  fill(0);
  fill(1);
  for (int t = 0; t < tiles; ++t) {
    ptx::cp_async_wait_group<1>();
    __syncthreads();
    fill(t + 2);
    for (int i = threadIdx.x; i < 128; i += 32)
      out[t * 128 + i] = reinterpret_cast<const float*>(stage[t % 3])[127 - i];
  }
}

TEST(Ptx, CpAsyncGroupsCompleteInOrder) {
  const std::vector<float> x = random_floats(7 * 128, 1);
  std::vector<float> want;
  for (std::size_t i = 0; i < x.size(); ++i) want.push_back(x[i / 128 * 128 + 127 - i % 128]);
  under_every_schedule([&] {
    OnDevice<float> in(x), out(x.size());
    launch<three_stages>(test_cuda(), dim3{1}, dim3{32}, 0, in.data(), out.data(), 7);
    EXPECT_EQ(out.host(), want);
  });
}

__global__ void named_barriers(const float* in, float* out) {
  KAGAMI_SHARED(tile, float[256]);
  tile[threadIdx.x] = in[threadIdx.x];
  ptx::bar_sync(1 + static_cast<int>(threadIdx.x) / 128, 128);
  out[threadIdx.x] = tile[threadIdx.x ^ 127];
}

TEST(Ptx, NamedBarriersOfHalfABlock) {
  const std::vector<float> x = random_floats(256, 1);
  std::vector<float> want;
  for (std::size_t i = 0; i < 256; ++i) want.push_back(x[i ^ 127]);
  under_every_schedule([&] {
    OnDevice<float> in(x), out(256);
    launch<named_barriers>(test_cuda(), dim3{1}, dim3{256}, 0, in.data(), out.data());
    EXPECT_EQ(out.host(), want);
  });
}

// ---- sm_90

class PtxHopper : public testing::Test {
 protected:
  void SetUp() override {
#if KAGAMI_EMULATED
    emulator::config().arch = 90;
#else
    if (cuda::properties(0).major != 9) GTEST_SKIP() << "needs sm_90, this is " << cuda::properties(0).name;
#endif
  }
#if KAGAMI_EMULATED
  void TearDown() override { emulator::config() = before; }
  emulator::Config before = emulator::config();
#endif
};

/// Each lane's registers hold its own number, the register and the half: 16 lane + 2 register + half.
__global__ void stmatrix_both(std::uint16_t* plain, std::uint16_t* transposed) {
  KAGAMI_SHARED(tile, uint4[2][32]);
  const std::uint32_t lane = threadIdx.x;
  std::uint32_t r[4];
  for (std::uint32_t i = 0; i < 4; ++i) r[i] = (lane * 16 + i * 2) | (lane * 16 + i * 2 + 1) << 16;
  // Rows are given backwards, so that the address counts and not the lane that gives it.
  ptx::stmatrix_x4(&tile[0][31 - lane], r);
  ptx::stmatrix_x4_trans(&tile[1][31 - lane], r);
  __syncwarp();
  reinterpret_cast<uint4*>(plain)[lane] = tile[0][31 - lane];
  reinterpret_cast<uint4*>(transposed)[lane] = tile[1][31 - lane];
}

TEST_F(PtxHopper, StmatrixPlainAndTransposed) {
  under_every_schedule([] {
    OnDevice<std::uint16_t> plain(256), transposed(256);
    launch<stmatrix_both>(test_cuda(), dim3{1}, dim3{32}, 0, plain.data(), transposed.data());
    const std::vector<std::uint16_t> p = plain.host(), t = transposed.host();
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i)
        for (int half = 0; half < 2; ++half) {
          const int value = lane * 16 + i * 2 + half, row = lane / 4, column = lane % 4 * 2 + half;
          EXPECT_EQ(p[static_cast<std::size_t>((i * 8 + row) * 8 + column)], value);
          EXPECT_EQ(t[static_cast<std::size_t>((i * 8 + column) * 8 + row)], value);
        }
  });
}

struct Tiles {
  alignas(1024) bf16 a[2][64 * 64];
  alignas(1024) bf16 b[2][64 * 64];
  alignas(8) std::uint64_t arrived;
};

TensorMap map_of(const OnDevice<bf16>& values, std::vector<std::uint64_t> dims, std::vector<std::uint32_t> box,
                 int swizzle = 128) {
  std::vector<std::uint64_t> strides;
  std::uint64_t stride = 2;
  for (std::size_t d = 0; d + 1 < dims.size(); ++d) strides.push_back(stride *= dims[d]);
  return make_tensor_map_bf16({values.data(), dims, strides, box, swizzle});
}

__device__ void begin(std::uint64_t& barrier) {
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&barrier, 1);
    ptx::fence_barrier_init();
  }
  __syncthreads();
}

/// C [64,N] = A B, each operand contiguous along K, or (Trans) along M or N.
template <int N, int TransA, int TransB>
__global__ void wgmma_tile(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float* c) {
  auto& s = dynamic_shared<Tiles>();
  begin(s.arrived);
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(&s.arrived, 8192 + N * 128);
    ptx::tma_load_2d(s.a[0], &a, &s.arrived, 0, 0);
    for (int i = 0; i < N / 64; ++i) ptx::tma_load_2d(s.b[i], &b, &s.arrived, TransB ? i * 64 : 0, TransB ? 0 : i * 64);
  }
  ptx::mbarrier_wait(&s.arrived, 0);
  float sums[N / 2] = {};
  ptx::wgmma_fence();
  for (int k = 0; k < 64; k += 16)
    ptx::wgmma_m64k16_bf16<N, TransA, TransB>(sums, ptx::wgmma_desc_sw128(s.a[0] + (TransA ? k * 64 : k), 1024, 8192),
                                              ptx::wgmma_desc_sw128(s.b[0] + (TransB ? k * 64 : k), 1024, 8192), k > 0);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  for (int i = 0; i < N / 2; ++i) c[(row + i / 2 % 2 * 8) * N + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2] = sums[i];
}

std::vector<bf16> transposed(const std::vector<bf16>& x, int rows, int columns) {
  std::vector<bf16> result(x.size());
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c)
      result[static_cast<std::size_t>(c * rows + r)] = x[static_cast<std::size_t>(r * columns + c)];
  return result;
}

template <int N, int TransA, int TransB>
void expect_wgmma() {
  SCOPED_TRACE(testing::Message() << "n " << N << ", trans " << TransA << TransB);
  const std::vector<bf16> a = random_bf16(64 * 64, 1), b = random_bf16(64 * N, 2);
  OnDevice<bf16> on_a(TransA ? transposed(a, 64, 64) : a), on_b(TransB ? transposed(b, N, 64) : b);
  OnDevice<float> c(64 * N);
  const TensorMap map_b = TransB ? map_of(on_b, {N, 64}, {64, 64}) : map_of(on_b, {64, N}, {64, 64});
  launch<wgmma_tile<N, TransA, TransB>>(test_cuda(), dim3{1}, dim3{128}, sizeof(Tiles),
                                        map_of(on_a, {64, 64}, {64, 64}), map_b, c.data());
  compare_with_hardware("wgmma_n" + std::to_string(N) + "_" + std::to_string(TransA) + std::to_string(TransB),
                        c.host());
  EXPECT_TRUE(relative_error(c.host(), product_with_transpose(64, N, 64, a, b)) <= 1e-6);
}

TEST_F(PtxHopper, WgmmaOfEitherMajor) {
  under_every_schedule([] {
    expect_wgmma<64, 0, 0>();
    expect_wgmma<64, 0, 1>();
    expect_wgmma<64, 1, 0>();
    expect_wgmma<64, 1, 1>();
    expect_wgmma<128, 0, 0>();
    expect_wgmma<128, 0, 1>();
    expect_wgmma<128, 1, 0>();
    expect_wgmma<128, 1, 1>();
  });
}

struct Corner {
  int x, y, z, w;
};

/// Loads one box, undoes the swizzle by hand.
__global__ void load_box(const __grid_constant__ TensorMap map, bf16* out, Corner at, int rank, int rows) {
  auto& s = dynamic_shared<Tiles>();
  begin(s.arrived);
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(&s.arrived, rows * 128);
    if (rank == 4)
      ptx::tma_load_4d(s.a[0], &map, &s.arrived, at.x, at.y, at.z, at.w);
    else
      ptx::tma_load_3d(s.a[0], &map, &s.arrived, at.x, at.y, at.z);
  }
  ptx::mbarrier_wait(&s.arrived, 0);
  for (int i = threadIdx.x; i < rows * 64; i += 32) out[i] = s.a[0][(i * 2 ^ (i * 2 >> 3 & 0x70)) / 2];
}

TEST_F(PtxHopper, TmaLoadsBoxesWithZerosOutside) {
  constexpr int C = 72, W = 7, H = 5, N = 3, box_w = 4, box_h = 3, box_n = 2, rows = box_w * box_h * box_n;
  const std::vector<bf16> x = random_bf16(C * W * H * N, 3);
  const auto value = [&](int c, int w, int h, int n) {
    const bool inside = c >= 0 && c < C && w >= 0 && w < W && h >= 0 && h < H && n >= 0 && n < N;
    return inside ? static_cast<double>(static_cast<float>(x[static_cast<std::size_t>(((n * H + h) * W + w) * C + c)]))
                  : 0;
  };
  under_every_schedule([&] {
    OnDevice<bf16> in(x), out(rows * 64);
    for (const Corner at : {Corner{0, 0, 0, 0}, Corner{64, -1, -1, 0}, Corner{8, 5, 3, 2}, Corner{-16, -2, 4, -1}}) {
      std::vector<double> want;
      for (int n = 0; n < box_n; ++n)
        for (int h = 0; h < box_h; ++h)
          for (int w = 0; w < box_w; ++w)
            for (int c = 0; c < 64; ++c) want.push_back(value(at.x + c, at.y + w, at.z + h, at.w + n));
      launch<load_box>(test_cuda(), dim3{1}, dim3{32}, sizeof(Tiles),
                       map_of(in, {C, W, H, N}, {64, box_w, box_h, box_n}), out.data(), at, 4, rows);
      EXPECT_TRUE(relative_error(out.host(), want) <= 0);
      want.resize(rows / box_n * 64);
      if (at.w < 0) continue;
      launch<load_box>(test_cuda(), dim3{1}, dim3{32}, sizeof(Tiles), map_of(in, {C, W, H * N}, {64, box_w, box_h}),
                       out.data(), Corner{at.x, at.y, 1, 0}, 3, rows / box_n);
      want.clear();
      for (int h = 0; h < box_h; ++h)
        for (int w = 0; w < box_w; ++w)
          for (int c = 0; c < 64; ++c) want.push_back(value(at.x + c, at.y + w, 1 + h, 0));
      EXPECT_TRUE(relative_error(out.host(), want) <= 0);
    }
  });
}

__global__ void store_tile(const __grid_constant__ TensorMap map, const bf16* in) {
  auto& s = dynamic_shared<Tiles>();
  for (int i = threadIdx.x; i < 64 * 64; i += 128) s.a[0][i] = in[i];
  ptx::fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::tma_store_2d(&map, s.a[0], 64, 32);
    ptx::tma_store_commit();
    ptx::tma_store_wait<0>();
  }
}

TEST_F(PtxHopper, TmaStoresTheInsideOfATile) {
  const std::vector<bf16> x = random_bf16(64 * 64, 3);
  under_every_schedule([&] {
    OnDevice<bf16> in(x), out(std::vector<bf16>(128 * 48, bf16(2)));
    launch<store_tile>(test_cuda(), dim3{1}, dim3{128}, sizeof(Tiles), map_of(out, {128, 48}, {64, 64}, 0), in.data());
    std::vector<double> want(128 * 48, 2);
    for (std::size_t row = 32; row < 48; ++row)
      for (std::size_t c = 0; c < 64; ++c)
        want[row * 128 + 64 + c] = static_cast<double>(static_cast<float>(x[(row - 32) * 64 + c]));
    EXPECT_TRUE(relative_error(out.host(), want) <= 0);
  });
}

__global__ void in_turns(int* out, int rounds) {
  KAGAMI_SHARED(barrier, std::uint64_t[2]);
  KAGAMI_SHARED(value, int);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&barrier[0], 32);
    ptx::mbarrier_init(&barrier[1], 1);
  }
  __syncthreads();
  for (int round = 0; round < rounds; ++round) {
    if (threadIdx.x == 32) {
      value = round * 10;
      ptx::mbarrier_arrive(&barrier[1]);
      ptx::mbarrier_wait(&barrier[0], round & 1);
    } else if (threadIdx.x < 32) {
      ptx::mbarrier_wait(&barrier[1], round & 1);
      out[round * 32 + threadIdx.x] = value;
      ptx::mbarrier_arrive(&barrier[0]);
    }
  }
}

TEST_F(PtxHopper, MbarriersHandOverInPhases) {
  under_every_schedule([] {
    OnDevice<int> out(5 * 32);
    launch<in_turns>(test_cuda(), dim3{1}, dim3{64}, 0, out.data(), 5);
    const std::vector<int> got = out.host();
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<int>(i) / 32 * 10);
  });
}

}  // namespace
}  // namespace kagami
#endif
