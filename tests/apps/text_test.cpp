#include "apps/support/text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kagami::apps {
namespace {

TEST(Text, Wraps) {
  EXPECT_EQ(wrapped("a bb ccc", 4), (std::vector<std::string>{"a bb", "ccc"}));
  EXPECT_EQ(wrapped("toolong x", 4), (std::vector<std::string>{"toolong", "x"}));
  EXPECT_EQ(wrapped("a\n\nb", 9), (std::vector<std::string>{"a", "", "b"}));
}

TEST(Text, Numbers) {
  EXPECT_EQ(duration_text(0.4), "0 s");
  EXPECT_EQ(duration_text(61), "1 min 01 s");
  EXPECT_EQ(duration_text(7500), "2 h 05 min");
  EXPECT_EQ(duration_text(std::nan("")), "-");
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(percent_text(0.413), "41.3 %");
  EXPECT_EQ(percent_text(std::nan("")), "-");
}

TEST(Text, ColumnsOfUtf8) {
  EXPECT_EQ(columns_of("std·√d"), 6U);
  EXPECT_EQ(first_columns("std·√d", 4), "std·");
  EXPECT_EQ(first_columns("ab", 4), "ab");
}

}  // namespace
}  // namespace kagami::apps
