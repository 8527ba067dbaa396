#include "apps/support/recipe.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <sstream>

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

/// What stands after the equals sign. Between quotes a sign begins no comment.
std::string value_of(const std::string& written, const std::string& place) {
  if (!written.starts_with('"')) return trimmed(without_comment(written));
  std::istringstream in(written);
  std::string value, rest;
  check(bool(in >> std::quoted(value)), place, "the value's closing quote is missing");
  std::getline(in, rest);
  check(trimmed(without_comment(rest)).empty(), place, "'", trimmed(rest), "' follows the value's closing quote");
  return value;
}

}  // namespace

std::string recipe_value(const std::string& value) {
  if (!value.starts_with('"') && trimmed(without_comment(value)) == value) return value;
  std::ostringstream out;
  out << std::quoted(value);
  return out.str();
}

std::vector<RecipeEntry> read_recipe(const std::filesystem::path& file) {
  std::error_code ignored;
  check(!std::filesystem::is_directory(file, ignored), file.string(), ": is a folder, not a recipe file");
  std::ifstream in(file);
  check(bool(in), file.string(), ": cannot read the recipe file: ", std::strerror(errno));
  std::vector<RecipeEntry> entries;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::string content = without_comment(line), place = text(file.string(), ':', number, ": ");
    if (trimmed(content).empty()) continue;
    const auto equals = content.find('=');
    const std::string key = trimmed(content.substr(0, equals));
    check(equals != std::string::npos && !key.empty(), place, "'", trimmed(content),
          "' is not of the form key = value");
    entries.push_back({key, value_of(trimmed(line.substr(equals + 1)), place), number});
  }
  return entries;
}

}  // namespace kagami::apps
