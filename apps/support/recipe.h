#pragma once
// Recipe files: one `key = value` a line. `#` and `;` begin comments, at the start of a line or after a blank, except
// in a value between double quotes. The keys are the command's option names.
#include <filesystem>
#include <string>
#include <vector>

namespace kagami::apps {

struct RecipeEntry {
  std::string key, value;
  int line;
};

/// Throws InputError, naming the file and the line, when the file cannot be read or a line is not `key = value`.
std::vector<RecipeEntry> read_recipe(const std::filesystem::path& file);

/// A value of one line as it reads back from a recipe: between quotes where it would be cut otherwise.
std::string recipe_value(const std::string& value);

}  // namespace kagami::apps
