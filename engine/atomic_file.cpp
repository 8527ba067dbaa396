#include "engine/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "engine/error.h"

namespace kagami {
namespace fs = std::filesystem;
namespace {

constexpr const char* temporary_suffix = ".tmp";

/// A file over RLIMIT_FSIZE raises SIGXFSZ, which kills. Blocked in this thread, the write returns EFBIG instead; the
/// signal that then waits is taken before the mask is given back, so nothing outside notices.
class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~FileSizeSignalBlocked() {
    if (sigismember(&before_, SIGXFSZ)) return;
    const timespec at_once{};
    while (sigtimedwait(&signal_, nullptr, &at_once) == SIGXFSZ) continue;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;

 private:
  sigset_t signal_;
  sigset_t before_;
};

bool is_bad_path(int error) {
  return error == ENOENT || error == ENOTDIR || error == EISDIR || error == EACCES || error == EPERM ||
         error == EROFS || error == ENAMETOOLONG || error == ELOOP;
}

std::string reason(int error) {
  switch (error) {
    case ENOSPC:
      return "no space left on the disk; free some and try again";
    case EDQUOT:
      return "the disk quota is used up; free some space and try again";
    case EFBIG:
      return "the file would be larger than this process or file system may write (see `ulimit -f`)";
    default:
      return std::strerror(error);
  }
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

std::string temporary_prefix(const fs::path& target) { return text(".", target.filename().string(), "."); }

void sync_folder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);  // some file systems cannot sync a folder; the rename itself already happened
  close(descriptor);
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path) {
  std::error_code ignored;
  target_ = fs::is_symlink(path, ignored) ? fs::weakly_canonical(path, ignored) : path;
  if (target_.empty()) target_ = path;
  check(target_.has_filename(), "cannot write '", path.string(), "': the path names no file");
  const auto status = fs::status(target_, ignored);
  check(!fs::is_directory(status), "cannot write '", path.string(), "': it is a folder; give the name of a file");
  check(!fs::exists(status) || fs::is_regular_file(status), "cannot write '", path.string(), "': not a regular file");
  static std::atomic<int> counter{0};
  const std::string unique = text(getpid(), "-", counter++);
  temporary_ = folder_of(target_) / (temporary_prefix(target_) + unique + temporary_suffix);
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ >= 0) return;
  const int error = errno;
  check(!is_bad_path(error), "cannot write '", target_.string(), "': ", reason(error),
        " (does the folder exist, and may you write there?)");
  fail("create", error);
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(const void* data, std::size_t bytes) {
  write_at(position_, data, bytes);
  position_ += bytes;
}

void AtomicFile::write_at(std::size_t position, const void* data, std::size_t bytes) {
  const FileSizeSignalBlocked guard;
  const char* source = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = pwrite(descriptor_, source, bytes, static_cast<off_t>(position));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("write", written < 0 ? errno : EIO);
    source += written;
    position += static_cast<std::size_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  const FileSizeSignalBlocked guard;
  if (fsync(descriptor_) != 0) fail("sync", errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (close(descriptor) != 0) {
    const int error = errno;
    unlink(temporary_.c_str());
    fail("close", error);
  }
  if (rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int error = errno;
    unlink(temporary_.c_str());
    fail("rename", error);
  }
  sync_folder(folder_of(target_));
}

void AtomicFile::fail(const char* action, int error) const {
  throw std::runtime_error(text("cannot ", action, " '", target_.string(), "': ", reason(error)));
}

void AtomicFile::discard() noexcept {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
  descriptor_ = -1;
}

bool is_temporary_of(const fs::path& path, const fs::path& target) {
  const std::string name = path.filename().string();
  return name.starts_with(temporary_prefix(target)) && name.ends_with(temporary_suffix);
}

void remove_temporaries(const fs::path& path) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_of(path), ignored))
    if (is_temporary_of(entry.path(), path)) fs::remove(entry.path(), ignored);
}

}  // namespace kagami
