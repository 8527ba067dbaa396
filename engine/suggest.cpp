#include "engine/suggest.h"

#include <algorithm>

namespace kagami {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({substitution, above[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  std::size_t best = std::max<std::size_t>(2, word.size() / 3) + 1;
  std::string found;
  for (const std::string& name : names) {
    // A name that the word begins is near, however much is left to type.
    const bool prefix = word.size() >= 3 && name.compare(0, word.size(), word) == 0;
    const std::size_t distance = prefix ? 1 : edit_distance(word, name);
    if (distance >= best || distance >= std::max(word.size(), name.size())) continue;
    best = distance;
    found = name;
  }
  return found;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& names, std::string_view prefix) {
  const std::string near = nearest(word, names);
  if (!near.empty()) return "; did you mean '" + std::string(prefix) + near + "'?";
  if (names.empty() || names.size() > 12) return {};
  std::string list = "; known: ";
  for (const std::string& name : names) list += (&name == &names.front() ? "" : ", ") + std::string(prefix) + name;
  return list;
}

}  // namespace kagami
