#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <vector>

namespace kagami {
namespace {

void expect_words(PhiloxWords counter, PhiloxKey key, std::array<std::uint32_t, 4> expected) {
  const PhiloxWords words = philox4x32(counter, key);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(words[i], expected[i]) << "word " << i;
}

TEST(Philox, KnownAnswersOfRandom123) {
  expect_words({{0, 0, 0, 0}}, {{0, 0}}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint32_t ones = 0xffffffff;
  expect_words({{ones, ones, ones, ones}}, {{ones, ones}}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  expect_words({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xa4093822, 0x299f31d0}},
               {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(Philox, KeyIsSeedAndPurposeCounterIsDrawViewSampleEpoch) {
  const PhiloxWords expected = philox4x32({{5, 1, 77, 3}}, {{42, static_cast<std::uint32_t>(Purpose::augmentation)}});
  Philox random(42, Purpose::augmentation, 1, 77, 3);
  const PhiloxWords block = random.block(5);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(block[i], expected[i]);
  for (int i = 0; i < 20; ++i) random.next();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(random.next(), expected[i]) << "the stream is the blocks in order";
}

TEST(Philox, EveryPartOfKeyAndCounterMatters) {
  const std::uint64_t seed = 7;
  std::set<std::uint64_t> seen;
  const auto add = [&](Philox random) { seen.insert(random.next64()); };
  add({seed, Purpose::augmentation, 0, 0, 0});
  add({seed + 1, Purpose::augmentation, 0, 0, 0});
  add({seed + (std::uint64_t{1} << 32), Purpose::augmentation, 0, 0, 0});
  add({seed, Purpose::shuffle, 0, 0, 0});
  add({seed, Purpose::augmentation, 1, 0, 0});
  add({seed, Purpose::augmentation, 0, 1, 0});
  add({seed, Purpose::augmentation, 0, 0, 1});
  EXPECT_EQ(seen.size(), 7U);
}

template <class T>
void expect_uniform() {
  Philox random(1, Purpose::test, 0, 0, 0);
  const int n = 200000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const T x = random.uniform<T>();
    ASSERT_TRUE(x >= 0 && x < 1);
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  EXPECT_NEAR(sum / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / n));
}

TEST(Philox, UniformFloat) { expect_uniform<float>(); }
TEST(Philox, UniformDouble) { expect_uniform<double>(); }

TEST(Philox, UniformNeverReachesOne) {
  EXPECT_LT(unit_float(0xffffffffU), 1.0F);
  EXPECT_LT(unit_double(~std::uint64_t{0}), 1.0);
  EXPECT_EQ(unit_float(0), 0.0F);
}

template <class T>
void expect_normal() {
  Philox random(2, Purpose::test, 0, 0, 0);
  const int n = 200000;
  double sum = 0, squares = 0, fourth = 0, product = 0;
  T previous = 0;
  for (int i = 0; i < n; ++i) {
    const T x = random.normal<T>();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += static_cast<double>(x) * x;
    fourth += std::pow(static_cast<double>(x), 4);
    product += static_cast<double>(x) * previous;
    previous = x;
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96.0 / n));
  EXPECT_NEAR(product / n, 0, 5 / std::sqrt(n));
}

TEST(Philox, NormalFloat) { expect_normal<float>(); }
TEST(Philox, NormalDouble) { expect_normal<double>(); }

TEST(Philox, BoundedCoversTheRangeEvenly) {
  EXPECT_EQ(bounded(0, 10), 0U);
  EXPECT_EQ(bounded(~std::uint64_t{0}, 10), 9U);
  EXPECT_EQ(bounded(~std::uint64_t{0}, 0xffffffffU), 0xfffffffeU);
  Philox random(3, Purpose::test, 0, 0, 0);
  const int n = 70000;
  std::array<int, 7> counts{};
  for (int i = 0; i < n; ++i) ++counts.at(random.below(7));
  double chi2 = 0;
  for (const int c : counts) chi2 += std::pow(c - n / 7.0, 2) / (n / 7.0);
  EXPECT_LT(chi2, 22.5) << "6 degrees of freedom: exceeded once in 1000 seeds";
}

TEST(Philox, PermutationIsAPermutationAndDependsOnTheEpoch) {
  const auto order_of = [](std::uint32_t epoch) {
    std::vector<int> order(1000);
    permutation(Philox::per_step(5, Purpose::shuffle, epoch), order.data(), 1000);
    return order;
  };
  const std::vector<int> first = order_of(0);
  EXPECT_EQ(first, order_of(0));
  EXPECT_NE(first, order_of(1));
  std::vector<int> sorted = first, indices(1000);
  std::sort(sorted.begin(), sorted.end());
  std::iota(indices.begin(), indices.end(), 0);
  EXPECT_EQ(sorted, indices);
  EXPECT_NE(first, indices);
}

TEST(Philox, EveryPermutationOfFourIsAboutEquallyFrequent) {
  std::array<int, 256> counts{};
  const int n = 24000;
  for (int epoch = 0; epoch < n; ++epoch) {
    int order[4];
    permutation(Philox::per_step(6, Purpose::shuffle, static_cast<std::uint32_t>(epoch)), order, 4);
    ++counts[order[0] * 64 + order[1] * 16 + order[2] * 4 + order[3]];
  }
  double chi2 = 0;
  int seen = 0;
  for (const int c : counts)
    if (c > 0) {
      ++seen;
      chi2 += std::pow(c - n / 24.0, 2) / (n / 24.0);
    }
  EXPECT_EQ(seen, 24);
  EXPECT_LT(chi2, 49.7) << "23 degrees of freedom: exceeded once in 1000 seeds";
}

}  // namespace
}  // namespace kagami
