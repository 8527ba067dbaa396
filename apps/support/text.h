#pragma once
// Numbers and paragraphs for people.
#include <cstdint>
#include <string>
#include <vector>

namespace kagami::apps {

/// The paragraph broken at blanks into lines of at most `width`; a '\n' in it ends a line.
std::vector<std::string> wrapped(const std::string& paragraph, std::size_t width);
/// "42 s", "3 min 20 s", "2 h 05 min".
std::string duration_text(double seconds);
/// "512 B", "1.5 MiB".
std::string bytes_text(double bytes);
/// `digits` digits after the point.
std::string fixed_text(double value, int digits);
/// "41.3 %"; "-" for what was not measured (NaN).
std::string percent_text(double fraction);
/// Columns a UTF-8 text takes on a terminal, counting one for each code point.
std::size_t columns_of(const std::string& utf8);
/// The first `columns` columns of it.
std::string first_columns(const std::string& utf8, std::size_t columns);

}  // namespace kagami::apps
