#pragma once
// Short names for what the program's tests use of files.
#include "tests/engine/temporary_folder.h"

namespace kagami::test {

using ::kagami::testing::TemporaryFolder;

inline std::string content_of(const std::filesystem::path& file) { return ::kagami::testing::read_bytes(file); }
inline void write_content(const std::filesystem::path& file, const std::string& content) {
  ::kagami::testing::write_bytes(file, content);
}

/// The message of the exception of type E that f() throws; empty when it throws none.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

}  // namespace kagami::test
