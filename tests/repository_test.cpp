// Rules of the repository that a compiler does not check: file sizes, layering, a README in every folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path root = KAGAMI_SOURCE_DIR;
constexpr int max_source_lines = 500;
constexpr int max_readme_lines = 80;
constexpr std::array<std::string_view, 5> layers{"kernels", "engine", "models", "ssl", "apps"};

/// Every file git tracks or would track, relative to the root; empty outside a git checkout.
std::vector<fs::path> tracked_files() {
  const std::string command =
      "git -c safe.directory='*' -C '" + root.string() + "' ls-files --cached --others --exclude-standard 2>/dev/null";
  std::vector<fs::path> files;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return files;
  std::string line;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line.push_back(static_cast<char>(c));
      continue;
    }
    if (fs::exists(root / line)) files.emplace_back(line);
    line.clear();
  }
  pclose(pipe);
  return files;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(root / file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool is_source(const fs::path& file) {
  constexpr std::array<std::string_view, 7> extensions{".h", ".cpp", ".cu", ".cuh", ".py", ".sh", ".cmake"};
  return std::find(extensions.begin(), extensions.end(), file.extension().string()) != extensions.end();
}

/// The layer of a path's first folder, or -1.
int layer_of(const fs::path& path) {
  if (path.empty() || std::next(path.begin()) == path.end()) return -1;
  const auto at = std::find(layers.begin(), layers.end(), path.begin()->string());
  return at == layers.end() ? -1 : static_cast<int>(at - layers.begin());
}

/// The path between quotes of an include line, or empty.
std::string quoted_include(const std::string& line) {
  const auto hash = line.find_first_not_of(" \t");
  if (hash == std::string::npos || line[hash] != '#') return {};
  const auto word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string::npos || line.compare(word, 7, "include") != 0) return {};
  const auto open = line.find('"', word);
  const auto close = open == std::string::npos ? open : line.find('"', open + 1);
  return close == std::string::npos ? std::string() : line.substr(open + 1, close - open - 1);
}

class Repository : public testing::Test {
 protected:
  void SetUp() override {
    files = tracked_files();
    if (files.empty()) GTEST_SKIP() << root << " is not a git checkout: nothing says which files belong to it";
  }
  std::vector<fs::path> files;
};

TEST_F(Repository, NoSourceFileIsLongerThanALimit) {
  int compared = 0;
  for (const fs::path& file : files) {
    if (!is_source(file)) continue;
    EXPECT_LE(lines_of(file).size(), static_cast<std::size_t>(max_source_lines)) << file << ": split it";
    ++compared;
  }
  EXPECT_GT(compared, 20);
}

TEST_F(Repository, NoFolderIncludesOneAboveIt) {
  int compared = 0;
  for (const fs::path& file : files) {
    const int layer = layer_of(file);
    if (layer < 0 || !is_source(file)) continue;
    for (const std::string& line : lines_of(file)) {
      const int included = layer_of(quoted_include(line));
      if (included < 0) continue;
      EXPECT_LE(included, layer) << file << " includes \"" << quoted_include(line) << "\", of a folder above its own";
      ++compared;
    }
  }
  EXPECT_GT(compared, 20);
}

TEST_F(Repository, EveryFolderHasAShortReadme) {
  for (const std::string_view folder :
       {"kernels", "engine", "models", "ssl", "apps", "tests", "bench", "scripts", "cmake"}) {
    const fs::path readme = fs::path(folder) / "README.md";
    EXPECT_TRUE(fs::exists(root / readme)) << readme << " is missing: what lives there, which file to open first";
    if (!fs::exists(root / readme)) continue;
    const std::size_t length = lines_of(readme).size();
    EXPECT_GT(length, 2U) << readme;
    EXPECT_LE(length, static_cast<std::size_t>(max_readme_lines)) << readme << ": at most a page";
  }
}

TEST(RepositoryRules, FindTheIncludesOfALine) {
  EXPECT_EQ(quoted_include("#include \"engine/tensor.h\""), "engine/tensor.h");
  EXPECT_EQ(quoted_include("  #  include \"a/b.h\"  // why"), "a/b.h");
  EXPECT_EQ(quoted_include("#include <vector>"), "");
  EXPECT_EQ(quoted_include("// #include \"engine/tensor.h\""), "");
  EXPECT_EQ(layer_of("engine/tensor.h"), 1);
  EXPECT_EQ(layer_of("tests/op_case.h"), -1);
  EXPECT_EQ(layer_of("engine"), -1);
}

}  // namespace
