// A wrong result ends a row of kernels_vs_vendor before anything is timed, ours or the vendor's.
#include <gtest/gtest.h>

#include <sstream>

#include "bench/vendor/cases.h"
#include "tests/kernels/host_library.h"

namespace kagami::bench {
namespace {

/// What a file of results says of a small product's three rows: `ours` stands in for our kernels (null: they run),
/// `vendors` for cuBLASLt.
std::string results_with(const cuda::CublasLt* ours, const cuda::CublasLt* vendors, Arithmetic arithmetic) {
  const WithLibrary set(ours);
  Context context(Device::cuda(0));
  context.rounds = 2;
  context.cublaslt = std::make_unique<CublasLt>(context.device, *vendors);
  ::benchmark::ClearRegisteredBenchmarks();
  add_matmul(context, {24, 16, 40}, arithmetic);
  std::ostringstream results;
  ::benchmark::JSONReporter reporter;
  reporter.SetOutputStream(&results);
  ::benchmark::RunSpecifiedBenchmarks(&reporter);
  return results.str();
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// Half of what one value of a result typically is: of hundreds, one is enough.
const HostLibrary right, wrong(1, 0.5F);

class KernelsVsVendor : public testing::TestWithParam<Arithmetic> {};

TEST_P(KernelsVsVendor, RightResultsAreTimed) {
  const std::string results = results_with(nullptr, &right, GetParam());
  EXPECT_EQ(count(results, "error_occurred"), 0) << results;
  EXPECT_EQ(count(results, "\"ours_us\""), 3) << results;
  EXPECT_EQ(count(results, "\"vendor_us\""), 3) << results;
}

TEST_P(KernelsVsVendor, OurWrongResultEndsARow) {
  const std::string results = results_with(&wrong, &right, GetParam());
  EXPECT_EQ(count(results, "our result is wrong: error "), 3) << results;
  EXPECT_EQ(count(results, "\"ours_us\""), 0) << "it was timed: " << results;
}

TEST_P(KernelsVsVendor, AWrongResultOfTheVendorsEndsARow) {
  const std::string results = results_with(nullptr, &wrong, GetParam());
  EXPECT_EQ(count(results, "cuBLASLt's result is wrong: error "), 3) << results;
  EXPECT_EQ(count(results, "\"vendor_us\""), 0) << "it was timed: " << results;
}

INSTANTIATE_TEST_SUITE_P(Arithmetics, KernelsVsVendor,
                         testing::Values(Arithmetic::bf16, Arithmetic::tf32, Arithmetic::fp32),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace kagami::bench
