// What the emulator counts, and that products and convolutions move what their tiles say and wait for no bank.
#if KAGAMI_EMULATED
#include "kernels/conv2d.h"
#include "kernels/cuda/gemm_table.h"
#include "kernels/cuda/ptx.h"
#include "kernels/matmul.h"
#include "tests/kernels/cuda_case.h"
#include "tests/kernels/cuda_numbers.h"

namespace kagami {
namespace {

using gemm::Arithmetic, gemm::Tile, gemm::TileSize;

/// What `run` adds to the counters. It waits for what it launches.
template <class F>
emulator::Stats counted(F&& run) {
  const emulator::Stats before = std::exchange(emulator::stats(), {});
  run();
  const emulator::Stats counts = std::exchange(emulator::stats(), before);
  return counts;
}

// ---- the counters themselves

/// Copies rows of 16 bytes that lie `pitch` bytes apart in shared memory, and reads them as matrices.
__global__ void rows_apart(const unsigned char* in, std::uint32_t* out, int pitch) {
  auto& tile = dynamic_shared<uint4[32 * 8]>();
  auto* row = reinterpret_cast<unsigned char*>(tile) + static_cast<int>(threadIdx.x) * pitch;
  ptx::cp_async_16(row, in + threadIdx.x * 16, threadIdx.x == 31 ? 4 : 16);
  ptx::cp_async_commit();
  ptx::cp_async_wait_group<0>();
  __syncwarp();
  std::uint32_t r[4];
  ptx::ldmatrix_x4(r, row);
  out[threadIdx.x] = r[0];
}

emulator::Stats counted_rows_apart(int pitch) {
  const OnDevice<unsigned char> in(std::vector<unsigned char>(32 * 16));
  const OnDevice<std::uint32_t> out(32);
  return counted([&] {
    launch<rows_apart>(test_cuda(), dim3{1}, dim3{32}, sizeof(uint4[32 * 8]), in.data(), out.data(), pitch);
    out.host();
  });
}

struct Apart {
  int pitch;
  std::uint64_t further_turns;
};

TEST(EmulatorCounters, BankConflictsOfRowsThatMeet) {
  // Of 8 rows: all in banks of their own; pairs meet; all meet. There are four groups of 8.
  for (const Apart& rows : {Apart{16, 0}, {48, 0}, {32, 4}, {64, 12}, {128, 28}}) {
    SCOPED_TRACE(rows.pitch);
    const emulator::Stats counts = counted_rows_apart(rows.pitch);
    EXPECT_EQ(counts.ldmatrix, 1U);
    EXPECT_EQ(counts.ldmatrix_conflicts, rows.further_turns);
    EXPECT_EQ(counts.cp_async_conflicts, rows.further_turns);
    EXPECT_EQ(counts.cp_async_bytes, 31U * 16 + 4);
    EXPECT_EQ(counts.blocks, 1U);
  }
}

__global__ void words_apart(const float* in, float* out, int pitch) {
  KAGAMI_SHARED(tile, float[32 * 32]);
  ptx::cp_async_small<4>(&tile[static_cast<int>(threadIdx.x) * pitch], in + threadIdx.x);
  ptx::cp_async_commit();
  ptx::cp_async_wait_group<0>();
  out[threadIdx.x] = tile[static_cast<int>(threadIdx.x) * pitch];
}

TEST(EmulatorCounters, BankConflictsOfWords) {
  for (const Apart& words : {Apart{1, 0}, {33, 0}, {2, 1}, {4, 3}, {32, 31}}) {
    SCOPED_TRACE(words.pitch);
    const OnDevice<float> in(std::vector<float>(32, 1.0F)), out(32);
    const emulator::Stats counts = counted([&] {
      launch<words_apart>(test_cuda(), dim3{1}, dim3{32}, 0, in.data(), out.data(), words.pitch);
      out.host();
    });
    EXPECT_EQ(counts.cp_async_conflicts, words.further_turns);
    EXPECT_EQ(counts.cp_async_bytes, 32U * 4);
  }
}

// ---- products and convolutions

std::uint64_t up(std::int64_t a, int b) { return static_cast<std::uint64_t>((a + b - 1) / b); }

/// Takes one tile for every product while it lives.
struct WithTile {
  explicit WithTile(Tile tile) { gemm::forced_tile = tile; }
  ~WithTile() { gemm::forced_tile.reset(); }
};
constexpr Tile all_tiles[] = {Tile::small, Tile::narrow, Tile::flat, Tile::wide};

/// A product of [rows,k] and [k,columns], read as often as tiles need it: elements of A and of B.
std::uint64_t elements_read(const TileSize& tile, std::uint64_t elements_a, std::uint64_t elements_b, std::int64_t rows,
                            std::int64_t columns) {
  return elements_a * up(columns, tile.columns) + elements_b * up(rows, tile.rows);
}

Cuda device_for(Arithmetic arithmetic) {
  Cuda device = test_cuda();
  device.tf32 = arithmetic == Arithmetic::tf32;
  return device;
}

template <class T>
void expect_counts_of_matmul(Arithmetic arithmetic, int k_of_mma) {
  constexpr int m = 136, n = 152, k = 88;  // more than one of every tile, and tails
  const Cuda device = device_for(arithmetic);
  const OnDevice<T> a(normal_values<T>(m * k, 1)), b(normal_values<T>(k * n, 2)), c(m * n);
  for (const Tile tile : all_tiles)
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true}) {
        SCOPED_TRACE(testing::Message() << "tile " << static_cast<int>(tile) << ' ' << transpose_a << transpose_b);
        const WithTile forced(tile);
        const MatmulShape shape{m, n, k, 1, transpose_a ? m : k, transpose_b ? k : n, n};
        const emulator::Stats counts = counted([&] {
          matmul(device, shape, transpose_a, transpose_b, a.data(), b.data(), c.data(), Accumulate::no);
          c.host();
        });
        const TileSize size = gemm::size_of(arithmetic, tile);
        EXPECT_EQ(counts.cp_async_bytes, sizeof(T) * elements_read(size, m * k, k * n, m, n));
        EXPECT_EQ(counts.mma, up(m, size.rows) * size.rows * up(n, size.columns) * size.columns * up(k, size.depth) *
                                  size.depth / (16 * 8 * k_of_mma));
        EXPECT_EQ(counts.ldmatrix_conflicts, 0U);
        EXPECT_EQ(counts.cp_async_conflicts, 0U);
        EXPECT_GT(counts.ldmatrix + (arithmetic == Arithmetic::tf32), 0U);
      }
}

TEST(EmulatorCounters, MatmulOfBf16) { expect_counts_of_matmul<bf16>(Arithmetic::bf16, 16); }
TEST(EmulatorCounters, MatmulOfTf32) { expect_counts_of_matmul<float>(Arithmetic::tf32, 8); }

/// How often a tap of an output pixel lies inside the image, over all of them.
std::uint64_t taps_inside(const Conv2dShape& s) {
  const auto along = [&](int out, int taps, int extent) {
    std::uint64_t count = 0;
    for (int i = 0; i < out; ++i)
      for (int t = 0; t < taps; ++t) {
        const int at = i * s.stride - s.pad + t;
        count += at >= 0 && at < extent;
      }
    return count;
  };
  return s.n * along(s.out_h(), s.r, s.h) * along(s.out_w(), s.s, s.w);
}

/// Elements of the weights that dgrad reads: those of a parity class once for every tile of its pixels.
std::uint64_t weights_read_by_dgrad(const Conv2dShape& s, int tile_rows) {
  const auto pixels = [&](int parity, int extent) {
    int count = 0;
    for (int i = 0; i < extent; ++i) count += i % s.stride == parity;
    return count;
  };
  const auto taps = [&](int parity, int kernel) {
    int count = 0;
    for (int t = 0; t < kernel; ++t) count += (parity + s.pad - t) % s.stride == 0;
    return count;
  };
  std::uint64_t elements = 0;
  for (int row = 0; row < s.stride; ++row)
    for (int column = 0; column < s.stride; ++column)
      elements += std::uint64_t(s.k) * s.c * taps(row, s.r) * taps(column, s.s) *
                  up(std::int64_t{s.n} * pixels(row, s.h) * pixels(column, s.w), tile_rows);
  return elements;
}

template <class T>
void expect_counts_of_conv2d(Arithmetic arithmetic, const Conv2dShape& s) {
  const Cuda device = device_for(arithmetic);
  const std::int64_t pixels = std::int64_t{s.n} * s.out_h() * s.out_w(), patch = s.r * s.s * s.c;
  const OnDevice<T> x(normal_values<T>(std::size_t(s.n) * s.h * s.w * s.c, 1)),
      w(normal_values<T>(std::size_t(s.k) * patch, 2)), dy(normal_values<T>(std::size_t(pixels) * s.k, 3)),
      y(std::size_t(pixels) * s.k), dx(std::size_t(s.n) * s.h * s.w * s.c);
  const OnDevice<Wide<T>> dw(std::size_t(s.k) * patch);
  for (const Tile tile : all_tiles) {
    SCOPED_TRACE(testing::Message() << "tile " << static_cast<int>(tile) << ", stride " << s.stride);
    const WithTile forced(tile);
    const TileSize size = gemm::size_of(arithmetic, tile);
    const auto expect = [&](const char* pass, std::uint64_t elements, auto&& run) {
      SCOPED_TRACE(pass);
      const emulator::Stats counts = counted([&] {
        run();
        y.host();  // waits
      });
      EXPECT_EQ(counts.cp_async_bytes, sizeof(T) * elements);
      EXPECT_EQ(counts.ldmatrix_conflicts, 0U);
      EXPECT_EQ(counts.cp_async_conflicts, 0U);
      EXPECT_GT(counts.mma, 0U);
    };
    expect("forward", elements_read(size, taps_inside(s) * s.c, std::uint64_t(s.k * patch), pixels, s.k),
           [&] { conv2d_forward<T>(device, s, x.data(), {w.data()}, y.data(), {}); });
    expect("dgrad", taps_inside(s) * s.k * up(s.c, size.columns) + weights_read_by_dgrad(s, size.rows),
           [&] { conv2d_dgrad<T>(device, s, dy.data(), {w.data()}, dx.data(), Accumulate::no); });
    expect("wgrad", elements_read(size, std::uint64_t(pixels * s.k), taps_inside(s) * s.c, s.k, patch),
           [&] { conv2d_wgrad<T>(device, s, x.data(), dy.data(), dw.data(), Accumulate::no); });
  }
}

constexpr Conv2dShape plain{2, 9, 9, 24, 136, 3, 3, 1, 1}, strided{3, 10, 9, 72, 72, 3, 3, 2, 1};

TEST(EmulatorCounters, Conv2dOfBf16) {
  for (const Conv2dShape& shape : {plain, strided}) expect_counts_of_conv2d<bf16>(Arithmetic::bf16, shape);
}
TEST(EmulatorCounters, Conv2dOfTf32) {
  for (const Conv2dShape& shape : {plain, strided}) expect_counts_of_conv2d<float>(Arithmetic::tf32, shape);
}

}  // namespace
}  // namespace kagami
#endif
