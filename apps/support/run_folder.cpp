#include "apps/support/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "engine/atomic_file.h"
#include "engine/checkpoint.h"
#include "engine/error.h"

namespace kagami::apps {
namespace fs = std::filesystem;

namespace {

/// What a run writes beside config.ini and lock, and what a killed process left of it.
bool belongs_to_run(const fs::path& file) {
  const fs::path folder = file.parent_path();
  const fs::path written[] = {folder / "log.jsonl", checkpoint_path(folder), previous_checkpoint_path(folder),
                              next_checkpoint_path(folder)};
  return is_temporary_of(file, "config.ini") ||
         std::any_of(std::begin(written), std::end(written),
                     [&](const auto& own) { return file == own || is_temporary_of(file, own); });
}

/// What a process killed before its run began leaves in a folder.
bool is_trace_of_start(const fs::path& file) {
  return file.filename() == "lock" || is_temporary_of(file, "config.ini");
}

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace

bool RunFolder::holds_run(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "config.ini", ignored);
}

RunFolder::RunFolder(fs::path folder, RunStart start) : folder_(std::move(folder)) {
  const std::string name = folder_.string();
  check(!folder_.empty(), "--out: give the folder for the run");
  std::error_code error;
  check(!fs::exists(folder_, error) || fs::is_directory(folder_, error), "--out: ", name, " is a file; give a folder");
  const bool run = holds_run(folder_);
  if (start == RunStart::resume)
    check(run, "--resume: ", name, " holds no run; start one without --resume");
  else
    check(!run || start == RunStart::overwrite, "--out: ", name,
          " already holds a run; continue it with --resume, replace it with --overwrite, or give another folder");
  if (!run && fs::exists(folder_, error))
    for (const auto& entry : fs::directory_iterator(folder_, error))
      check(is_trace_of_start(entry.path()), "--out: ", name, " holds other files (", entry.path().filename().string(),
            "); give a new folder");
  created_ = fs::create_directories(folder_, error);
  check(!error, "--out: cannot create ", name, ": ", error.message());
  lock();
}

RunFolder::~RunFolder() {
  if (lock_ < 0) return;
  std::error_code ignored;
  if (!holds_run(folder_)) {
    fs::remove(folder_ / "lock", ignored);
    if (created_) fs::remove(folder_, ignored);
  }
  ::close(lock_);
}

void RunFolder::lock() {
  const fs::path file = folder_ / "lock";
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  check(lock_ >= 0, "--out: cannot write to ", folder_.string(), ": ", std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(lock_);
    lock_ = -1;
    check(reason != EWOULDBLOCK, "--out: ", folder_.string(), " is in use by process ", first_line(file),
          "; wait for it, or give another folder");
    throw std::runtime_error(text(file.string(), ": cannot be locked: ", std::strerror(reason)));
  }
  const std::string process = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, process.data(), process.size(), 0) < 0)
    throw std::runtime_error(text(file.string(), ": cannot be written: ", std::strerror(errno)));
}

void RunFolder::remove_run() {
  for (const auto& entry : fs::directory_iterator(folder_))
    if (entry.is_regular_file() && belongs_to_run(entry.path())) fs::remove(entry.path());
}

void RunFolder::begin(const std::string& config_text) {
  remove_run();
  begun_ = true;
  write_whole_file(config(), config_text);
}

void RunFolder::withdraw() {
  if (!begun_) return;
  remove_run();
  fs::remove(config());
}

void write_whole_file(const fs::path& file, const std::string& content) {
  AtomicFile out(file);
  out.write(content);
  out.commit();
}

std::string read_whole_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) throw std::runtime_error(text(file.string(), ": cannot be read: ", std::strerror(errno)));
  return content;
}

}  // namespace kagami::apps
