#include "kernels/cpu/isa.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace kagami::cpu {
namespace {

/// Symbols an object file offers to the linker, one line of `nm` each; empty without nm.
[[maybe_unused]] std::vector<std::string> external_symbols(const std::filesystem::path& object) {
  std::vector<std::string> lines;
  FILE* nm = popen(("nm -C --defined-only --extern-only '" + object.string() + "' 2>/dev/null").c_str(), "r");
  if (!nm) return lines;
  std::string line;
  for (int c = std::fgetc(nm); c != EOF; c = std::fgetc(nm)) {
    if (c != '\n') {
      line.push_back(static_cast<char>(c));
      continue;
    }
    lines.push_back(line);
    line.clear();
  }
  pclose(nm);
  return lines;
}

// The linker keeps one copy of an inline function, whichever object it came from. Were it one compiled for AVX-512,
// baseline code would crash on processors without it. So such objects may define only names of their own namespace.
TEST(Isa, ObjectsDefineNothingOutsideTheirNamespace) {
#if defined(__SANITIZE_ADDRESS__) || !defined(__x86_64__)
  GTEST_SKIP() << "concerns the x86-64 build without sanitizers";
#else
  int symbols = 0;
  for (const std::string isa : {"avx2", "avx512"}) {
    const std::filesystem::path folder =
        std::filesystem::path(KAGAMI_KERNELS_DIR) / "CMakeFiles" / ("kagami_kernels_" + isa + ".dir");
    ASSERT_TRUE(std::filesystem::exists(folder)) << folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".o") continue;
      for (const std::string& symbol : external_symbols(entry.path())) {
        EXPECT_NE(symbol.find("kagami::cpu::" + isa + "::"), std::string::npos)
            << entry.path().filename() << " compiled for " << isa << " defines " << symbol;
        ++symbols;
      }
    }
  }
  if (symbols == 0) GTEST_SKIP() << "nm found nothing";
#endif
}

TEST(Isa, IsSetByName) {
  const Isa best = isa();
  set_isa("baseline");
  EXPECT_EQ(isa(), Isa::baseline);
  set_isa("auto");
  EXPECT_EQ(isa(), best);
  try {
    set_isa("sse9");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "unknown instruction set 'sse9': use auto, baseline, avx2 or avx512");
  }
}

}  // namespace
}  // namespace kagami::cpu
