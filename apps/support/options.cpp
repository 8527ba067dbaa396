#include "apps/support/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>

#include "apps/support/recipe.h"
#include "engine/error.h"
#include "engine/suggest.h"

namespace kagami::apps {
namespace po = boost::program_options;

namespace {

/// Reads all of `s` as a number; throws the description of what it is not.
template <class T>
T parse_number(const std::string& s) {
  T value{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error == std::errc() && end == s.data() + s.size()) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isfinite(value)) return value;
    } else {
      return value;
    }
  }
  throw std::string(std::is_floating_point_v<T> ? "a number"
                    : std::is_signed_v<T>       ? "a whole number"
                                                : "a whole number of at least 0");
}

bool parse_bool(const std::string& s) {
  if (s.empty() || s == "true" || s == "yes" || s == "on" || s == "1") return true;
  if (s == "false" || s == "no" || s == "off" || s == "0") return false;
  throw std::string("true or false");
}

template <class T>
std::string chars_of(T value) {
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, result.ptr};
}

}  // namespace

void check_out(const std::string& out, const std::string& extension) {
  check(!out.empty(), "--out is missing: give a ", extension, " file");
  check(std::filesystem::path(out).extension() == extension, "--out: '", out, "' must end in ", extension);
}

std::string number_text(double value) { return chars_of(value); }

Option& Option::one_of(std::vector<std::string> values) { return values_ = std::move(values), *this; }
Option& Option::between(double low, double high) { return low_ = low, high_ = high, *this; }
Option& Option::above(double low) { return low_ = low, low_exclusive_ = true, *this; }
Option& Option::below(double high) { return high_ = high, high_exclusive_ = true, *this; }

bool Option::holds(double value) const {
  return (low_exclusive_ ? value > low_ : value >= low_) && (high_exclusive_ ? value < high_ : value <= high_);
}

/// Every bounded option has a lower bound.
std::string Option::bounds_text() const {
  if (!number_ || !std::isfinite(low_)) return "";
  const std::string low = number_text(low_), high = number_text(high_);
  if (!std::isfinite(high_)) return (low_exclusive_ ? " above " : " of at least ") + low;
  return high_exclusive_ ? " of at least " + low + " and below " + high : " from " + low + " to " + high;
}
Option& Option::transient() { return transient_ = true, *this; }
Option& Option::once() { return show_default_ = false, *this; }

Option& Option::hidden() { return hidden_ = true, *this; }

Options::Options(std::string command, std::string usage, std::string about)
    : command_(std::move(command)), usage_(std::move(usage)), about_(std::move(about)) {}

void Options::group(std::string title) {
  if (options_.empty()) groups_.clear();
  groups_.push_back(std::move(title));
}

Option& Options::declare(const std::string& name, const std::string& placeholder, const std::string& help) {
  options_.push_back(std::make_unique<Option>());
  Option& option = *options_.back();
  option.name_ = name;
  option.placeholder_ = placeholder;
  option.help_ = help;
  option.group_ = groups_.size() - 1;
  return option;
}

Option& Options::add(const std::string& name, bool& flag, const std::string& help) {
  Option& option = declare(name, "", help);
  option.flag_ = true;
  option.set_ = [&flag](const std::string& s) { flag = parse_bool(s); };
  option.get_ = [&flag] { return std::string(flag ? "true" : "false"); };
  return option;
}

Option& Options::add(const std::string& name, std::string& value, const std::string& placeholder,
                     const std::string& help) {
  Option& option = declare(name, placeholder, help);
  option.set_ = [&value](const std::string& s) { value = s; };
  option.get_ = [&value] { return value; };
  return option;
}

template <class T>
Option& Options::number(const std::string& name, T& value, const std::string& placeholder, const std::string& help) {
  Option& option = declare(name, placeholder, help);
  option.number_ = true;
  option.set_ = [&value](const std::string& s) { value = parse_number<T>(s); };
  option.get_ = [&value] { return chars_of(value); };
  return option;
}

Option& Options::add(const std::string& name, int& value, const std::string& placeholder, const std::string& help) {
  return number(name, value, placeholder, help);
}
Option& Options::add(const std::string& name, std::int64_t& value, const std::string& placeholder,
                     const std::string& help) {
  return number(name, value, placeholder, help);
}
Option& Options::add(const std::string& name, std::uint64_t& value, const std::string& placeholder,
                     const std::string& help) {
  return number(name, value, placeholder, help);
}
Option& Options::add(const std::string& name, float& value, const std::string& placeholder, const std::string& help) {
  return number(name, value, placeholder, help);
}
Option& Options::add(const std::string& name, double& value, const std::string& placeholder, const std::string& help) {
  return number(name, value, placeholder, help);
}

void Options::positional(const std::string& name, std::string& value, const std::string& help) {
  positional_ = std::make_unique<Option>();
  positional_->name_ = positional_->origin_ = name;
  positional_->help_ = help;
  positional_->set_ = [&value](const std::string& s) { value = s; };
  positional_->get_ = [&value] { return value; };
}

void Options::accept_recipe() {
  add("recipe", recipe_, "FILE", "read options from FILE, one `name = value` a line; the command line wins")
      .transient()
      .once();
}

void Options::example(std::string line, std::string meaning) {
  examples_.push_back({std::move(line), std::move(meaning)});
}

Option* Options::find(const std::string& name) {
  for (auto& option : options_)
    if (option->name_ == name) return option.get();
  return nullptr;
}
const Option* Options::find(const std::string& name) const { return const_cast<Options*>(this)->find(name); }

std::vector<std::string> Options::names() const {
  std::vector<std::string> names;
  for (const auto& option : options_) names.push_back(option->name_);
  return names;
}

void Options::read(const std::vector<std::string>& arguments) {
  po::options_description description;
  for (const auto& option : options_) {
    if (option->flag_)
      description.add_options()(option->name_.c_str(), po::value<std::string>()->implicit_value("true"));
    else
      description.add_options()(option->name_.c_str(), po::value<std::string>());
  }
  description.add_options()("help,h", "");
  std::vector<po::option> parsed;
  try {
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    parsed = po::command_line_parser(arguments).options(description).style(style).allow_unregistered().run().options;
  } catch (const po::invalid_command_line_syntax& error) {
    const std::string name = error.get_option_name();
    const bool missing = error.kind() == po::invalid_syntax::missing_parameter ||
                         error.kind() == po::invalid_syntax::empty_adjacent_parameter;
    check(!missing, name, " needs a value ('kagami ", command_, " --help' says which)");
    check(false, error.what());
  } catch (const po::error& error) {
    check(false, error.what());
  }
  for (const po::option& given : parsed) {
    const std::string name = given.string_key;
    if (given.position_key >= 0) {
      check(positional_ && positional_->given_.empty(), "unexpected argument '", given.original_tokens.at(0),
            "'; options begin with --, and 'kagami ", command_, " --help' lists them");
      positional_->given_ = given.original_tokens.at(0);
      continue;
    }
    if (name == "help") {
      help_wanted_ = true;
      continue;
    }
    if (given.unregistered) {
      const std::string token = given.original_tokens.at(0);
      const std::string word = token.substr(0, token.find('='));
      check(false, "unknown option '", word, "'",
            did_you_mean(word.substr(std::min(word.find_first_not_of('-'), word.size())), names(), "--"), " ('kagami ",
            command_, " --help' lists them)");
    }
    Option& option = *find(name);
    check(option.origin_.empty(), "--", name, " is given twice");
    const bool took_an_option = given.original_tokens.size() == 2 && given.original_tokens[1].compare(0, 2, "--") == 0;
    check(!took_an_option, "--", name, " needs a value ('kagami ", command_, " --help' says which)");
    option.given_ = given.value.empty() ? std::string() : given.value.front();
    option.origin_ = "--" + name;
  }
  if (const Option* recipe = find("recipe"); recipe && !recipe->origin_.empty() && !help_wanted_)
    read_file(recipe->given_);
}

void Options::read_file(const std::filesystem::path& file) {
  std::vector<std::string> allowed;
  for (const auto& option : options_)
    if (!option->transient_) allowed.push_back(option->name_);
  std::vector<std::string> seen;
  for (const RecipeEntry& entry : read_recipe(file)) {
    const std::string place = file.string() + ":" + std::to_string(entry.line) + ": ";
    check(std::find(allowed.begin(), allowed.end(), entry.key) != allowed.end(), place, "unknown key '", entry.key, "'",
          did_you_mean(entry.key, allowed));
    check(std::find(seen.begin(), seen.end(), entry.key) == seen.end(), place, entry.key, " is given twice");
    seen.push_back(entry.key);
    Option& option = *find(entry.key);
    if (!option.origin_.empty()) continue;
    option.given_ = entry.value;
    option.origin_ = place + entry.key;
  }
}

void Options::convert(Option& option) {
  const std::string& given = option.given_;
  check(given.find('\n') == std::string::npos, option.origin_, ": a value has no line breaks");
  if (!option.values_.empty())
    check(std::find(option.values_.begin(), option.values_.end(), given) != option.values_.end(), option.origin_, ": '",
          given, "' is not known", did_you_mean(given, option.values_));
  const std::string bounds = option.bounds_text();
  const std::string before = option.get_();
  try {
    option.set_(given);
  } catch (const std::string& wanted) {
    check(false, option.origin_, ": '", given, "' is not ", wanted, bounds);
  }
  if (bounds.empty()) return;
  const bool inside = option.holds(std::stod(given));
  if (!inside) option.set_(before);
  check(inside, option.origin_, ": ", given, " is out of range: a number", bounds);
}

void Options::apply() {
  for (auto& option : options_)
    if (!option->origin_.empty()) convert(*option);
  if (positional_ && !positional_->given_.empty()) positional_->set_(positional_->given_);
}

bool Options::parse(const std::vector<std::string>& arguments, std::ostream& out) {
  read(arguments);
  if (help_wanted_) {
    print_help(out);
    return false;
  }
  apply();
  return true;
}

bool Options::given(const std::string& name) const {
  const Option* option = find(name);
  return option && !option->origin_.empty();
}

std::string Options::raw(const std::string& name, const std::string& otherwise) const {
  return given(name) ? find(name)->given_ : otherwise;
}

std::string Options::value(const std::string& name) const {
  const Option* option = find(name);
  return option ? option->get_() : std::string();
}

std::vector<std::string> Options::changed_from(const std::filesystem::path& file) const {
  std::vector<std::string> changed;
  for (const RecipeEntry& entry : read_recipe(file)) {
    const Option* option = find(entry.key);
    if (option && option->get_() != entry.value) changed.push_back(option->name_);
  }
  return changed;
}

std::string Options::as_recipe() const {
  std::string recipe;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    std::string lines;
    for (const auto& option : options_)
      if (option->group_ == group && !option->transient_ && !option->get_().empty())
        lines += option->name_ + " = " + recipe_value(option->get_()) + "\n";
    if (!lines.empty()) recipe += "\n# " + groups_[group] + "\n" + lines;
  }
  return recipe;
}

}  // namespace kagami::apps
