#include "kernels/matmul_library.h"

#include <gtest/gtest.h>

#include <stdexcept>

#if KAGAMI_HAS_CUDA
#include "tests/kernels/host_library.h"
#include "tests/kernels/matmul_problem.h"
#endif

namespace kagami {
namespace {

std::string refusal(const char* name) {
  try {
    set_matmul(name);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(MatmulLibrary, OurOwnKernelsAreTheDefault) {
  EXPECT_EQ(matmul_name(), "own");
  EXPECT_EQ(matmul_library(), nullptr);
  EXPECT_EQ(refusal("own"), "");
}

TEST(MatmulLibrary, AnUnknownNameIsRefused) {
  EXPECT_EQ(refusal("mkl"), "nothing called 'mkl' multiplies matrices: use own or cublas");
  EXPECT_EQ(matmul_name(), "own");
}

TEST(MatmulLibrary, WhereCublasCannotBeUsedALineSaysWhy) {
  const std::string said = refusal("cublas");
#if KAGAMI_EMULATED
  EXPECT_EQ(said, "cuBLASLt cannot be used: an emulated device runs none of NVIDIA's libraries");
#elif KAGAMI_HAS_CUDA
  if (said.empty())
    EXPECT_EQ(matmul_name().find("cuBLASLt 1"), 0U) << matmul_name();
  else
    EXPECT_NE(said.find("libcublasLt.so.13"), std::string::npos) << said;
#else
  EXPECT_EQ(said, "cuBLASLt cannot be used: this program was built without CUDA");
#endif
  set_matmul("own");
}

#if KAGAMI_HAS_CUDA

/// Both results of a product, in every combination of transpositions, plain and added to what is there with a bias.
template <class T, class Out = T>
void expect_library_agrees(const cuda::CublasLt& library, double tolerance, const Cuda& device = test_cuda()) {
  for (const MatmulCase& t : matmul_cases)
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
          const MatmulProblem<T, Out> problem(t, transpose_a, transpose_b, accumulate);
          const std::vector<double> own = as_doubles(problem.computed(device));
          const WithLibrary set(&library);
          const double error = relative_error(problem.computed(device), own);
          EXPECT_TRUE(error <= tolerance)
              << error << ": " << t.m << 'x' << t.k << (transpose_a ? " transposed" : "") << " times " << t.k << 'x'
              << t.n << (transpose_b ? " transposed" : "") << (accumulate == Accumulate::yes ? ", added" : "");
        }
}

/// bf16: either result may be rounded to the other side of a value.
void expect_library_agrees(const cuda::CublasLt& library) {
  expect_library_agrees<float>(library, 2e-6);
  expect_library_agrees<bf16>(library, 8e-3);
  expect_library_agrees<bf16, float>(library, 2e-6);
}

TEST(MatmulLibraryCuda, CublasAgreesWithOurKernels) {
  std::string why;
  const cuda::CublasLt* library = cuda::CublasLt::open(&why);
  if (!library) GTEST_SKIP() << why;
  expect_library_agrees(*library);
  expect_library_agrees<float>(*library, 2e-3, test_cuda_with_tf32());
}

TEST(MatmulLibraryCuda, CublasHasTheSameBitsInACapturedGraph) {
  std::string why;
  const cuda::CublasLt* library = cuda::CublasLt::open(&why);
  if (!library) GTEST_SKIP() << why;
  const WithLibrary set(library);
  const Cuda device = test_cuda();
  const MatmulProblem<bf16> problem({96, 64, 512}, false, true);
  const OnDevice<bf16> a(problem.a), b(problem.b), c(problem.before.size());
  const auto multiply = [&] {
    matmul(device, problem.shape, false, true, a.data(), b.data(), c.data(), Accumulate::no);
  };
  multiply();
  const std::vector<bf16> eager = c.host();
  cuda::begin_capture(device.stream);
  multiply();
  CUgraphExec_st* graph = cuda::end_capture(device.stream);
  cuda::fill_bytes(c.data(), 0xff, eager.size() * sizeof(bf16), device.stream);
  cuda::replay(graph, device.stream);
  EXPECT_TRUE(same_bits(c.host(), eager));
  cuda::destroy_graph(graph);
}

#if KAGAMI_EMULATED

TEST(MatmulLibraryCuda, EveryProductReachesTheLibrary) { expect_library_agrees(HostLibrary()); }

TEST(MatmulLibraryCuda, ABatchMayRepeatOneMatrix) {
  MatmulProblem<float> problem({9, 12, 20, 3}, false, false, Accumulate::yes);
  problem.shape.stride_b = 0;
  const HostLibrary library;
  const WithLibrary set(&library);
  EXPECT_EQ(matmul_name(), "host library 1.0.0");
  EXPECT_TRUE(relative_error(problem.computed(test_cuda()), problem.expected()) <= 1e-6);
}

TEST(MatmulLibraryCuda, AnEmptySumNeedsNoLibrary) {
  const HostLibrary library(0);
  const WithLibrary set(&library);
  const OnDevice<float> bias(std::vector<float>{1, 2, 3}), c(std::vector<float>(6, 7));
  matmul(test_cuda(), {2, 3, 0, 1, 1, 3, 3}, false, false, bias.data(), bias.data(), c.data(), Accumulate::no,
         {bias.data()});
  EXPECT_EQ(c.host(), (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

TEST(MatmulLibraryCuda, AProductWithoutAnAlgorithmNamesItsSizes) {
  const HostLibrary library(0);
  const WithLibrary set(&library);
  const MatmulProblem<float> problem({5, 6, 7}, false, false);
  EXPECT_EQ(error_of([&] { problem.computed(test_cuda()); }),
            "host library 1.0.0 has no algorithm for a product of [5,7] and [7,6]: use --matmul own");
}

#endif
#endif

}  // namespace
}  // namespace kagami
