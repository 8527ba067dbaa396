#include "kernels/cuda/tensor_map.h"

#include <gtest/gtest.h>

#include <vector>

namespace kagami {
namespace {

constexpr std::uint64_t marked = ~std::uint64_t{0}, repaired = marked & ~(std::uint64_t{1} << 21);

/// Word 1 of a map, all of whose bits a driver has set.
std::uint64_t word_of(std::vector<std::uint64_t> dims, std::vector<std::uint64_t> strides, int driver) {
  TensorMap map;
  for (std::uint64_t& word : map.opaque) word = marked;
  repair_map_of_small_tensor(map, {nullptr, dims, strides, {}}, driver);
  for (const int other : {0, 2, 15}) EXPECT_EQ(map.opaque[other], marked);
  return map.opaque[1];
}

TEST(TensorMap, OfASmallTensorIsRepairedAfterDriversThatMarkItAsLarge) {
  for (const int driver : {12040, 13000, 13010}) EXPECT_EQ(word_of({64, 8}, {128}, driver), repaired);
  for (const int driver : {13020, 14000}) EXPECT_EQ(word_of({64, 8}, {128}, driver), marked);
}

TEST(TensorMap, IsSmallBelow128KiBFromTheFirstElementToTheLast) {
  EXPECT_EQ(word_of({(64 << 10) - 1}, {}, 13000), repaired);
  EXPECT_EQ(word_of({64 << 10}, {}, 13000), marked);
  EXPECT_EQ(word_of({64, 1024}, {128}, 13000), marked);
  EXPECT_EQ(word_of({56, 1024}, {128}, 13000), repaired);  // the last row ends 16 bytes early
  EXPECT_EQ(word_of({8, 2, 2}, {16, 128 << 10}, 13000), marked);
}

}  // namespace
}  // namespace kagami
