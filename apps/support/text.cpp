#include "apps/support/text.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace kagami::apps {

std::vector<std::string> wrapped(const std::string& paragraph, std::size_t width) {
  std::vector<std::string> lines;
  std::istringstream paragraphs(paragraph);
  for (std::string part; std::getline(paragraphs, part);) {
    std::istringstream words(part);
    std::string line;
    for (std::string word; words >> word;) {
      if (!line.empty() && columns_of(line) + 1 + columns_of(word) > width) {
        lines.push_back(line);
        line.clear();
      }
      line += (line.empty() ? "" : " ") + word;
    }
    lines.push_back(line);
  }
  return lines;
}

std::string fixed_text(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  const auto whole = static_cast<long long>(std::llround(seconds));
  char buffer[64];
  if (whole < 60)
    std::snprintf(buffer, sizeof buffer, "%lld s", whole);
  else if (whole < 3600)
    std::snprintf(buffer, sizeof buffer, "%lld min %02lld s", whole / 60, whole % 60);
  else
    std::snprintf(buffer, sizeof buffer, "%lld h %02lld min", whole / 3600, whole % 3600 / 60);
  return buffer;
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return fixed_text(bytes, unit == 0 ? 0 : 1) + " " + units[unit];
}

std::string percent_text(double fraction) { return std::isnan(fraction) ? "-" : fixed_text(100 * fraction, 1) + " %"; }

std::size_t columns_of(const std::string& utf8) {
  std::size_t columns = 0;
  for (const char c : utf8) columns += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  return columns;
}

std::string first_columns(const std::string& utf8, std::size_t columns) {
  std::size_t end = 0, seen = 0;
  for (; end < utf8.size(); ++end) {
    if ((static_cast<unsigned char>(utf8[end]) & 0xC0U) == 0x80U) continue;
    if (seen++ == columns) break;
  }
  return utf8.substr(0, end);
}

}  // namespace kagami::apps
