#include "tests/apps/program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "tests/apps/temporary_folder.h"

namespace kagami::test {
namespace {

using namespace std::chrono_literals;

/// The program under test: the one built beside the tests, or, where these were copied to another machine, what the
/// environment's KAGAMI_PROGRAM says.
const char* program() {
  const char* other = std::getenv("KAGAMI_PROGRAM");
  return other ? other : KAGAMI_PROGRAM;
}

/// In the child: never returns.
[[noreturn]] void become_program(const std::filesystem::path& folder, std::vector<char*> arguments,
                                 const Limits& limits, const std::filesystem::path& out,
                                 const std::filesystem::path& err) {
  if (limits.file_bytes >= 0) {
    const rlimit limit{static_cast<rlim_t>(limits.file_bytes), static_cast<rlim_t>(limits.file_bytes)};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  int output = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (limits.closed_output) {
    int ends[2];
    if (pipe(ends) != 0) _exit(127);
    close(ends[0]);
    output = ends[1];
  }
  const int errors = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int input = open("/dev/null", O_RDONLY);
  if (chdir(folder.c_str()) != 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0) _exit(127);
  execv(program(), arguments.data());
  _exit(127);
}

}  // namespace

Running::Running(const std::filesystem::path& folder, const std::vector<std::string>& arguments, const Limits& limits) {
  static std::atomic<int> number{0};
  const std::string name = ".output-" + std::to_string(number++);
  out_ = folder / (name + ".out");
  err_ = folder / (name + ".err");
  std::vector<std::string> words{program()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  process_ = fork();
  if (process_ < 0) throw std::runtime_error("fork failed");
  if (process_ == 0) become_program(folder, pointers, limits, out_, err_);
}

Running::~Running() {
  if (!waited_) {
    send(SIGKILL);
    wait();
  }
}

void Running::send(int signal) const { ::kill(process_, signal); }

bool Running::ended() {
  if (!waited_) waited_ = waitpid(process_, &status_, WNOHANG) == process_;
  return waited_;
}

int Running::wait_for_lines(const std::filesystem::path& file, int lines) {
  int seen = 0;
  for (const auto end = std::chrono::steady_clock::now() + 60s; std::chrono::steady_clock::now() < end;) {
    const std::string content = content_of(file);
    seen = static_cast<int>(std::count(content.begin(), content.end(), '\n'));
    if (seen >= lines || ended()) break;
    std::this_thread::sleep_for(2ms);
  }
  return seen;
}

Outcome Running::wait() {
  if (!waited_) waitpid(process_, &status_, 0);
  waited_ = true;
  Outcome outcome;
  if (WIFEXITED(status_)) outcome.code = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) outcome.signal = WTERMSIG(status_);
  outcome.out = content_of(out_);
  outcome.err = content_of(err_);
  std::error_code ignored;
  std::filesystem::remove(out_, ignored);
  std::filesystem::remove(err_, ignored);
  return outcome;
}

Outcome kagami(const std::filesystem::path& folder, const std::vector<std::string>& arguments, const Limits& limits) {
  return Running(folder, arguments, limits).wait();
}

bool one_line(const std::string& text) { return !text.empty() && text.find('\n') == text.size() - 1; }

}  // namespace kagami::test
