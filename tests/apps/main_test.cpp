// The program's frame: help, version, exit codes.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/apps/program.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::test {
namespace {

TEST(Program, HelpTeachesAndIsFast) {
  const TemporaryFolder folder;
  double best = 1e9;
  Outcome outcome;
  for (int i = 0; i < 5; ++i) {  // the best of a few: other processes share the machine
    const auto start = std::chrono::steady_clock::now();
    outcome = kagami(folder.path(), {"--help"});
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  EXPECT_EQ(outcome.code, 0);
  for (const char* part : {"pretrain", "knn", "--help", "Exit codes"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(best, 0.05);
#endif
}

TEST(Program, VersionSaysWhatItIs) {
  const TemporaryFolder folder;
  const Outcome outcome = kagami(folder.path(), {"--version"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* part : {"Kagami ", "commit", "compiler", "processor", "kernels"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
}

TEST(Program, UnknownCommandsSuggestTheNearest) {
  const TemporaryFolder folder;
  const Outcome outcome = kagami(folder.path(), {"ifno"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(one_line(outcome.err)) << outcome.err;
  EXPECT_NE(outcome.err.find("did you mean 'info'?"), std::string::npos) << outcome.err;
  EXPECT_EQ(kagami(folder.path(), {}).code, 2);
  EXPECT_EQ(kagami(folder.path(), {"info"}).code, 2);
}

TEST(Program, AClosedOutputIsNoFailureAndAFullOneIs) {
  const TemporaryFolder folder;
  EXPECT_EQ(kagami(folder.path(), {"--help"}, {.closed_output = true}).code, 0);
  const Outcome outcome = kagami(folder.path(), {"--help"}, {.file_bytes = 10});
  EXPECT_EQ(outcome.code, 1);
}

}  // namespace
}  // namespace kagami::test
