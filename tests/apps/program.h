#pragma once
// Runs the built program as a user does.
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kagami::test {

struct Outcome {
  int code = -1;    ///< exit code; -1 where a signal ended it
  int signal = 0;   ///< that signal
  std::string out;  ///< standard output
  std::string err;  ///< standard error
};

struct Limits {
  std::int64_t file_bytes = -1;  ///< RLIMIT_FSIZE; -1: none
  bool closed_output = false;    ///< standard output is a pipe that nobody reads
};

/// Runs it to its end in `folder`.
Outcome kagami(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
               const Limits& limits = {});

/// The program at work; its output goes to files in `folder`.
class Running {
 public:
  Running(const std::filesystem::path& folder, const std::vector<std::string>& arguments, const Limits& limits = {});
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  void send(int signal) const;
  /// Waits until `file` has at least this many lines, the program ended, or a minute passed; tells the number of lines.
  int wait_for_lines(const std::filesystem::path& file, int lines);
  Outcome wait();

 private:
  bool ended();
  std::filesystem::path out_, err_;
  pid_t process_;
  int status_ = 0;
  bool waited_ = false;
};

/// Whether `text` is one line that ends where it should.
bool one_line(const std::string& text);

}  // namespace kagami::test
