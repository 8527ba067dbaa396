#include "kernels/contrastive.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/contrastive_kernels.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/select.h"
#include "tests/each_isa.h"

namespace kagami {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

const cpu::ContrastiveKernels<float>& table() {
  return cpu::select(cpu::baseline::contrastive_float, cpu::avx2::contrastive_float, cpu::avx512::contrastive_float);
}

TEST(ContrastiveKernels, ExponentialsAreAccurate) {
  test::for_each_isa([] {
    const std::vector<float> zeros(cpu::contrastive_padding, 0);
    for (float first = -87; first < 86; first += 0.37F) {
      std::vector<float> s(cpu::contrastive_padding), x;
      for (std::size_t j = 0; j < s.size(); ++j) s[j] = first + 0.0231F * static_cast<float>(j);
      x = s;
      table().weights(s.data(), cpu::contrastive_padding, 0, zeros.data());  // 2 e^x
      for (std::size_t j = 0; j < s.size(); ++j) {
        const double expected = 2 * std::exp(static_cast<double>(x[j]));
        ASSERT_TRUE(std::abs(static_cast<double>(s[j]) / expected - 1) <= 2e-7) << "e^" << x[j] << " = " << s[j] / 2;
      }
    }
  });
}

TEST(ContrastiveKernels, ExponentialsAtTheEdges) {
  test::for_each_isa([] {
    const std::vector<float> zeros(cpu::contrastive_padding, 0);
    std::vector<float> s(cpu::contrastive_padding, -infinity);
    s[1] = -1000;
    s[2] = std::nanf("");
    s[3] = 0;
    table().weights(s.data(), cpu::contrastive_padding, 0, zeros.data());
    EXPECT_EQ(s[0], 0);
    EXPECT_EQ(s[1], 0);
    EXPECT_TRUE(std::isnan(s[2]));
    EXPECT_EQ(s[3], 2);
  });
}

TEST(ContrastiveKernels, WeightsWithoutColumnsAreOneExponential) {
  test::for_each_isa([] {
    std::vector<float> s(cpu::contrastive_padding, 3);
    table().weights(s.data(), cpu::contrastive_padding, 3, nullptr);
    EXPECT_EQ(s, std::vector<float>(cpu::contrastive_padding, 1));
  });
}

TEST(ContrastiveKernels, RunningLogSumExpKeepsNaN) {
  test::for_each_isa([] {
    for (const float others : {-infinity, 1.0F})
      for (std::size_t at = 0; at < cpu::contrastive_padding; ++at) {
        std::vector<float> s(cpu::contrastive_padding, others);
        s[at] = std::nanf("");
        float largest = 2, sum = 1;
        table().accumulate(s.data(), cpu::contrastive_padding, &largest, &sum);
        s[at] = 1;
        table().accumulate(s.data(), cpu::contrastive_padding, &largest, &sum);
        EXPECT_TRUE(std::isnan(sum)) << at;
      }
  });
}

TEST(ContrastiveKernels, RunningLogSumExpTakesAnyOrder) {
  test::for_each_isa([] {
    constexpr std::size_t pieces = 5;
    std::vector<float> s(pieces * cpu::contrastive_padding);
    for (std::size_t j = 0; j < s.size(); ++j) s[j] = 60 * std::sin(1.7F * static_cast<float>(j));
    std::fill_n(s.begin(), cpu::contrastive_padding, -infinity);  // a piece without a value
    double expected = 0;
    for (const float x : s) expected += std::exp(static_cast<double>(x));
    for (const bool backwards : {false, true}) {
      float largest = -infinity, sum = 0;
      for (std::size_t p = 0; p < pieces; ++p) {
        const std::size_t piece = backwards ? pieces - 1 - p : p;
        table().accumulate(s.data() + piece * cpu::contrastive_padding, cpu::contrastive_padding, &largest, &sum);
      }
      const double found = static_cast<double>(largest) + std::log(static_cast<double>(sum));
      EXPECT_NEAR(found, std::log(expected), 1e-6) << backwards;
    }
    float largest = -infinity, sum = 0;
    table().accumulate(s.data(), cpu::contrastive_padding, &largest, &sum);
    EXPECT_EQ(largest, -infinity);
    EXPECT_EQ(sum, 0);
  });
}

}  // namespace
}  // namespace kagami
