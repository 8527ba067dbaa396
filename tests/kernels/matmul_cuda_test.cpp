#if KAGAMI_HAS_CUDA
#include <gtest/gtest.h>

#include <limits>

#include "kernels/cuda/gemm_table.h"
#include "tests/kernels/matmul_problem.h"

namespace kagami {
namespace {

/// The problem in every combination of transpositions, plain or with all extras, under every schedule.
template <class T, class Out = T>
void expect_agrees(const MatmulCase& t, double tolerance, const Cuda& device = test_cuda()) {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true})
      for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
        const MatmulProblem<T, Out> problem(t, transpose_a, transpose_b, accumulate);
        SCOPED_TRACE(testing::Message() << t.m << 'x' << t.k << (transpose_a ? " transposed" : "") << " times " << t.k
                                        << 'x' << t.n << (transpose_b ? " transposed" : "")
                                        << (accumulate == Accumulate::yes ? ", added" : ""));
        const std::vector<double> expected = problem.expected();
        under_every_schedule([&] {
          const double error = relative_error(problem.computed(device), expected);
          EXPECT_TRUE(error <= tolerance) << error;
        });
      }
}

/// Takes one tile for every product while it lives.
struct WithTile {
  explicit WithTile(gemm::Tile tile) { gemm::forced_tile = tile; }
  ~WithTile() { gemm::forced_tile.reset(); }
};
constexpr gemm::Tile all_tiles[] = {gemm::Tile::small, gemm::Tile::narrow, gemm::Tile::flat, gemm::Tile::wide};

/// Larger than one tile of every kind.
const MatmulCase larger{136, 136, 40};

TEST(MatmulCuda, Fp32AgreesWithTheCpu) {
  for (const MatmulCase& t : matmul_cases) expect_agrees<float>(t, 1e-6);
}

TEST(MatmulCuda, Fp32AgreesInEveryTile) {
  for (const gemm::Tile tile : all_tiles) {
    const WithTile forced(tile);
    expect_agrees<float>(larger, 1e-6);
  }
}

/// The results are rounded to bf16 (a relative error of 2^-9 at most); in float the sums' error alone is left.
TEST(MatmulCuda, Bf16AgreesWithTheCpu) {
  for (const MatmulCase& t : matmul_cases) {
    expect_agrees<bf16>(t, 4e-3);
    expect_agrees<bf16, float>(t, 1e-6);
  }
}

TEST(MatmulCuda, Bf16AgreesInEveryTile) {
  for (const gemm::Tile tile : all_tiles) {
    const WithTile forced(tile);
    expect_agrees<bf16, float>(larger, 1e-6);
  }
}

TEST(MatmulCuda, Tf32AgreesWithTheCpu) {
  for (const MatmulCase& t : matmul_cases) expect_agrees<float>(t, 6e-4, test_cuda_with_tf32());
}

TEST(MatmulCuda, Tf32AgreesInEveryTile) {
  for (const gemm::Tile tile : all_tiles) {
    const WithTile forced(tile);
    expect_agrees<float>(larger, 6e-4, test_cuda_with_tf32());
  }
}

TEST(MatmulCuda, ABatchMayRepeatOneMatrix) {
  MatmulProblem<float> problem({9, 12, 20, 3}, false, false);
  problem.shape.stride_b = 0;
  EXPECT_TRUE(relative_error(problem.computed(test_cuda()), problem.expected()) <= 1e-6);
}

TEST(MatmulCuda, AnEmptySumIsZeroOrTheBias) {
  const OnDevice<float> bias(std::vector<float>{1, 2, 3}), c(std::vector<float>(6, 7));
  const MatmulShape shape{2, 3, 0, 1, 1, 3, 3};
  matmul(test_cuda(), shape, false, false, bias.data(), bias.data(), c.data(), Accumulate::no);
  EXPECT_EQ(c.host(), std::vector<float>(6));
  matmul(test_cuda(), shape, false, false, bias.data(), bias.data(), c.data(), Accumulate::yes, {bias.data()});
  EXPECT_EQ(c.host(), (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

/// A NaN reaches the results it must, and no other.
TEST(MatmulCuda, ANanSpoilsItsRowAlone) {
  MatmulProblem<float> problem({40, 70, 33}, false, true);
  problem.a[17 * problem.shape.lda + 32] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> c = problem.computed(test_cuda());
  for (int row = 0; row < 40; ++row)
    for (int column = 0; column < 70; ++column)
      EXPECT_EQ(std::isnan(c[row * problem.shape.ldc + column]), row == 17) << row << ", " << column;
}

template <class T, class Out = T>
void expect_same_bits(const MatmulCase& t, Cuda device = test_cuda()) {
  const MatmulProblem<T, Out> problem(t, true, false, Accumulate::yes);
  const std::vector<Out> first = problem.computed(device);
  for (const int multiprocessors : {1, 7, 132}) {
    device.multiprocessors = multiprocessors;
    EXPECT_TRUE(same_bits(first, problem.computed(device))) << multiprocessors;
  }
}

TEST(MatmulCuda, HasTheSameBitsOnAnyDevice) {
  expect_same_bits<float>({40, 72, 300});
  expect_same_bits<float>({40, 72, 300}, test_cuda_with_tf32());
  expect_same_bits<bf16>({40, 72, 600});
}

#if KAGAMI_EMULATED
/// Every way that tiles of bf16 lie in shared memory is read without bank conflicts.
TEST(MatmulCuda, LdmatrixHasNoBankConflicts) {
  const emulator::Stats before = emulator::stats();
  for (const gemm::Tile tile : all_tiles) {
    const WithTile forced(tile);
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        MatmulProblem<bf16>(larger, transpose_a, transpose_b).computed(test_cuda());
  }
  EXPECT_GT(emulator::stats().ldmatrix, before.ldmatrix);
  EXPECT_EQ(emulator::stats().ldmatrix_conflicts, before.ldmatrix_conflicts);
}
#endif

}  // namespace
}  // namespace kagami
#endif
