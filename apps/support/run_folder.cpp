#include "apps/support/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/error.h"

namespace kagami::apps {
namespace fs = std::filesystem;

namespace {

bool belongs_to_run(const fs::path& file) {
  const std::string name = file.filename().string(), extension = file.extension().string();
  return name == "config.ini" || name == "log.jsonl" || name == "lock" || extension == ".safetensors" ||
         name.find(".safetensors.") != std::string::npos || name.find(".ini.tmp") != std::string::npos;
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
      check(belongs_to_run(entry.path()), "--out: ", name, " holds other files (", entry.path().filename().string(),
            "); give a new folder");
  fs::create_directories(folder_, error);
  check(!error, "--out: cannot create ", name, ": ", error.message());
  lock();
  if (start == RunStart::overwrite) remove_run();
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
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
    if (entry.is_regular_file() && belongs_to_run(entry.path()) && entry.path().filename() != "lock")
      fs::remove(entry.path());
}

void write_whole_file(const fs::path& file, const std::string& content) {
  const fs::path temporary = file.string() + ".tmp";
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool ok = descriptor >= 0;
  for (std::size_t done = 0; ok && done < content.size();) {
    const ssize_t n = ::write(descriptor, content.data() + done, content.size() - done);
    ok = n > 0;
    if (ok) done += static_cast<std::size_t>(n);
  }
  ok = ok && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (ok && ::rename(temporary.c_str(), file.c_str()) == 0) return;
  const std::string message = std::strerror(ok ? errno : reason);
  ::unlink(temporary.c_str());
  throw std::runtime_error(text(file.string(), ": cannot be written: ", message));
}

}  // namespace kagami::apps
