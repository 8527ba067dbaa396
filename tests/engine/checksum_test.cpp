#include "engine/checksum.h"

#include <gtest/gtest.h>

#include <string>

namespace kagami {
namespace {

TEST(Checksum, KnownAnswersOfXxh64) {
  EXPECT_EQ(Checksum().value(), 0xEF46DB3751D8E999ULL);
  EXPECT_EQ(Checksum().add("a").value(), 0xD24EC4F1A98C6E5BULL);
  EXPECT_EQ(Checksum().add("abc").value(), 0x44BC2CF5AD770999ULL);
  EXPECT_EQ(Checksum().add("Nobody inspects the spammish repetition").value(), 0xFBCEA83C8A378BF1ULL);
}

TEST(Checksum, DoesNotDependOnHowTheBytesAreCut) {
  std::string bytes(300, ' ');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 37 + 11);
  const std::uint64_t whole = Checksum().add(bytes).value();
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Checksum sum;
    sum.add(std::string_view(bytes).substr(0, cut)).add(std::string_view(bytes).substr(cut));
    ASSERT_EQ(sum.value(), whole) << cut;
  }
  Checksum single;
  for (const char c : bytes) single.add(std::string_view(&c, 1));
  EXPECT_EQ(single.value(), whole);
}

}  // namespace
}  // namespace kagami
