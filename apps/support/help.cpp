// How --help is laid out.
#include <algorithm>

#include "apps/support/options.h"
#include "apps/support/text.h"

namespace kagami::apps {
namespace {

constexpr std::size_t help_width = 100;
constexpr std::size_t help_column = 27;

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

void print_row(std::ostream& out, const std::string& left, const std::string& right) {
  std::string line = "  " + left;
  if (line.size() + 1 >= help_column) {
    out << line << '\n';
    line.clear();
  }
  line.resize(help_column, ' ');
  bool first = true;
  for (const std::string& piece : wrapped(right, help_width - help_column)) {
    out << (first ? line : std::string(help_column, ' ')) << piece << '\n';
    first = false;
  }
}

}  // namespace

void Options::print_help(std::ostream& out) const {
  out << "kagami " << usage_ << "\n\n";
  for (const std::string& line : wrapped(about_, help_width)) out << line << '\n';
  if (!examples_.empty()) out << "\nExamples\n";
  for (const Example& example : examples_) {
    out << "  kagami " << example.line << '\n';
    for (const std::string& line : wrapped(example.meaning, help_width - 6)) out << "      " << line << '\n';
  }
  if (positional_) {
    out << '\n';
    print_row(out, positional_->name_, positional_->help_);
  }
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    bool titled = false;
    for (const auto& option : options_) {
      if (option->group_ != group || option->hidden_) continue;
      if (!titled) out << '\n' << groups_[group] << '\n';
      titled = true;
      std::string help = option->help_;
      if (!option->values_.empty()) help += ": " + joined(option->values_);
      const std::string value = option->get_();
      if (!option->flag_ && option->show_default_ && !value.empty()) help += " (" + value + ")";
      print_row(out, "--" + option->name_ + (option->placeholder_.empty() ? "" : " " + option->placeholder_), help);
    }
  }
}

}  // namespace kagami::apps
