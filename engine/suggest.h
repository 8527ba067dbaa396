#pragma once
// The nearest known name to a mistyped one.
#include <string>
#include <string_view>
#include <vector>

namespace kagami {

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name within a third of the word's length (at least 2 edits), or empty.
std::string nearest(std::string_view word, const std::vector<std::string>& names);

/// "; did you mean 'epochs'?", or "; known: a, b, c" when nothing is near and the list is short, or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& names, std::string_view prefix = "");

}  // namespace kagami
