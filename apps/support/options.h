#pragma once
// The options of one command: declared once, they are parsed from the command line and from recipe files, listed by
// --help and written to RUN/config.ini.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace kagami::apps {

/// One option, bound to a variable of the caller.
class Option {
 public:
  Option& one_of(std::vector<std::string> values);  ///< only these; the nearest is suggested for another
  Option& between(double low, double high);         ///< numbers: inclusive bounds
  Option& at_least(double low) { return between(low, high_); }
  Option& above(double low);   ///< numbers: exclusive bound
  Option& below(double high);  ///< numbers: exclusive bound
  Option& transient();         ///< belongs to the call, not to the run: not in config.ini, not in recipes
  Option& once();              ///< no default shown: it has to be given where the command needs it
  Option& hidden();            ///< not listed by --help, which explains it elsewhere

 private:
  bool holds(double value) const;
  std::string bounds_text() const;  // " from 0 to 1"; empty without bounds

  std::string name_, placeholder_, help_;
  bool flag_ = false, transient_ = false, show_default_ = true, hidden_ = false, number_ = false;
  bool low_exclusive_ = false, high_exclusive_ = false;
  double low_ = -std::numeric_limits<double>::infinity(), high_ = std::numeric_limits<double>::infinity();
  std::vector<std::string> values_;
  std::function<void(const std::string&)> set_;  // throws std::string: what the value is not
  std::function<std::string()> get_;
  std::size_t group_ = 0;
  std::string given_, origin_;  // raw text, and where it stood: "--epochs" or "my.ini:4: epochs"
  friend class Options;
};

class Options {
 public:
  /// `usage` is the line after the program's name: "pretrain --data PATH --out RUN [options]".
  Options(std::string command, std::string usage, std::string about);

  void group(std::string title);
  Option& add(const std::string& name, bool& flag, const std::string& help);
  Option& add(const std::string& name, std::string& value, const std::string& placeholder, const std::string& help);
  Option& add(const std::string& name, int& value, const std::string& placeholder, const std::string& help);
  Option& add(const std::string& name, std::int64_t& value, const std::string& placeholder, const std::string& help);
  Option& add(const std::string& name, std::uint64_t& value, const std::string& placeholder, const std::string& help);
  Option& add(const std::string& name, float& value, const std::string& placeholder, const std::string& help);
  Option& add(const std::string& name, double& value, const std::string& placeholder, const std::string& help);
  /// A word without dashes: `kagami info FILE`. The command has at most one.
  void positional(const std::string& name, std::string& value, const std::string& help);
  /// Adds --recipe, whose file may hold any option that is not transient.
  void accept_recipe();
  void example(std::string line, std::string meaning);

  /// read() and apply(); or prints the help where it is asked for, and returns false.
  bool parse(const std::vector<std::string>& arguments, std::ostream& out);
  /// Splits and names the arguments; throws InputError on an unknown or repeated option. Values are set by apply().
  void read(const std::vector<std::string>& arguments);
  /// The same keys from a file; what is already given wins.
  void read_file(const std::filesystem::path& file);
  /// Converts what was given and sets the variables; throws InputError naming the option, or the file and line.
  void apply();

  bool help_wanted() const { return help_wanted_; }
  bool given(const std::string& name) const;
  /// The raw text of an option before apply(), or `otherwise`.
  std::string raw(const std::string& name, const std::string& otherwise) const;
  /// The value after apply(), as it would be written in a recipe.
  std::string value(const std::string& name) const;
  /// After apply(): options whose value differs from that in a recipe file.
  std::vector<std::string> changed_from(const std::filesystem::path& file) const;

  void print_help(std::ostream& out) const;
  /// Every option that is not transient and not empty, as `name = value` lines under its group's title.
  std::string as_recipe() const;
  std::vector<std::string> names() const;

 private:
  Option& declare(const std::string& name, const std::string& placeholder, const std::string& help);
  template <class T>
  Option& number(const std::string& name, T& value, const std::string& placeholder, const std::string& help);
  Option* find(const std::string& name);
  const Option* find(const std::string& name) const;
  static void convert(Option& option);

  struct Example {
    std::string line, meaning;
  };
  std::string command_, usage_, about_;
  std::vector<std::string> groups_{"Options"};
  std::vector<std::unique_ptr<Option>> options_;
  std::vector<Example> examples_;
  std::unique_ptr<Option> positional_;
  std::string recipe_;
  bool help_wanted_ = false;
};

/// Throws InputError unless --out names a file with this ending.
void check_out(const std::string& out, const std::string& extension);

/// Shortest text that reads back as the same number.
std::string number_text(double value);

}  // namespace kagami::apps
