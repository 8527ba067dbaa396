#include "apps/support/recipe.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/error.h"

namespace kagami::apps {
namespace {

std::string trimmed(const std::string& s) {
  const auto first = s.find_first_not_of(" \t\r");
  if (first == std::string::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t\r") - first + 1);
}

/// A comment begins a line or follows a blank, so that a value may contain the sign.
std::string without_comment(const std::string& line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool sign = line[i] == '#' || line[i] == ';';
    if (sign && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return line.substr(0, i);
  }
  return line;
}

}  // namespace

std::vector<RecipeEntry> read_recipe(const std::filesystem::path& file) {
  std::error_code ignored;
  check(!std::filesystem::is_directory(file, ignored), file.string(), ": is a folder, not a recipe file");
  std::ifstream in(file);
  check(bool(in), file.string(), ": cannot read the recipe file: ", std::strerror(errno));
  std::vector<RecipeEntry> entries;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::string content = trimmed(without_comment(line));
    if (content.empty()) continue;
    const auto equals = content.find('=');
    const std::string key = trimmed(content.substr(0, equals));
    check(equals != std::string::npos && !key.empty(), file.string(), ":", number, ": '", content,
          "' is not of the form key = value");
    entries.push_back({key, trimmed(content.substr(equals + 1)), number});
  }
  return entries;
}

}  // namespace kagami::apps
