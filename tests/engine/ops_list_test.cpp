// Every op that ops.h declares has an OpCase somewhere in these tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace kagami {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream all;
  all << file.rdbuf();
  return all.str();
}

/// Names of the functions that a header declares at the start of a line: `Tensor name(`, `std::vector<Tensor> name(`.
std::set<std::string> declared(const std::string& header) {
  const std::regex declaration(R"(\n[A-Za-z][\w:<>]* (\w+)\()");
  std::set<std::string> names;
  for (std::sregex_iterator it(header.begin(), header.end(), declaration), end; it != end; ++it) names.insert((*it)[1]);
  return names;
}

/// Whether a test checks OpCases and calls the op.
bool checks(const std::string& test, const std::string& op) {
  return test.find("check_op(") != std::string::npos && std::regex_search(test, std::regex("\\b" + op + "\\("));
}

TEST(OpsList, EveryOpIsCalledWhereOpCasesAreChecked) {
  const std::filesystem::path root = KAGAMI_SOURCE_DIR;
  const std::set<std::string> ops = declared(contents(root / "engine/ops.h"));
  ASSERT_GT(ops.size(), 30U) << "the declarations were not recognised";
  std::vector<std::string> tests;
  for (const auto& entry : std::filesystem::directory_iterator(root / "tests/engine"))
    if (entry.path().extension() == ".cpp") tests.push_back(contents(entry.path()));
  for (const std::string& op : ops)
    EXPECT_TRUE(std::any_of(tests.begin(), tests.end(), [&](const std::string& test) { return checks(test, op); }))
        << op << " has no OpCase: add check_op({\"" << op << "\", ...}) to a test";
}

TEST(OpsList, RecognisesDeclarationsAndCases) {
  EXPECT_EQ(declared("\nTensor a(int);\nstd::vector<Tensor> b2();\n/// Tensor c()\n  Tensor d();\nstruct E {\n"),
            (std::set<std::string>{"a", "b2"}));
  EXPECT_TRUE(checks("check_op({x}); add(1)", "add"));
  EXPECT_FALSE(checks("check_op({x}); padd(1)", "add"));
  EXPECT_FALSE(checks("add(1)", "add"));
}

}  // namespace
}  // namespace kagami
