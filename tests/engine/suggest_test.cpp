#include "engine/suggest.h"

#include <gtest/gtest.h>

namespace kagami {
namespace {

TEST(Suggest, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("epohcs", "epochs"), 1U);  // neighbours swapped
  EXPECT_EQ(edit_distance("batch", "batch"), 0U);
  EXPECT_EQ(edit_distance("flaw", "lawn"), 2U);
}

TEST(Suggest, NearestName) {
  const std::vector<std::string> names{"epochs", "batch", "seed", "temperature", "simclr"};
  EXPECT_EQ(nearest("epohcs", names), "epochs");
  EXPECT_EQ(nearest("Batch", names), "batch");
  EXPECT_EQ(nearest("simlcr", names), "simclr");
  EXPECT_EQ(nearest("temp", names), "temperature");
  EXPECT_EQ(nearest("xyzzy", names), "");
  EXPECT_EQ(nearest("a", names), "");
}

TEST(Suggest, Sentence) {
  EXPECT_EQ(did_you_mean("sed", {"seed"}, "--"), "; did you mean '--seed'?");
  EXPECT_EQ(did_you_mean("qqq", {"auto", "direct"}), "; known: auto, direct");
  EXPECT_EQ(did_you_mean("qqq", {}), "");
}

}  // namespace
}  // namespace kagami
