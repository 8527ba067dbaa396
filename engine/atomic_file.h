#pragma once
// Files that are never seen half written: a temporary file beside the target, synced, then renamed over it.
#include <cstddef>
#include <filesystem>
#include <string_view>

namespace kagami {

/// Writes a new version of a file. Until commit() the old version stays; after it the new one is on the disk, whole.
/// Throws InputError where the path cannot be one (no such folder, a folder, no permission), std::runtime_error with
/// the file's name and the reason where writing fails (full disk, size limit); the temporary file is then removed.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Overwrites bytes already written, e.g. a header whose numbers are known only at the end.
  void write_at(std::size_t position, const void* data, std::size_t bytes);
  /// Syncs the file, renames it over the target and syncs the folder.
  void commit();

 private:
  [[noreturn]] void fail(const char* action, int error) const;
  void discard() noexcept;

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  std::size_t position_ = 0;
};

/// Whether `path` is named like a temporary file of an AtomicFile of `target`.
bool is_temporary_of(const std::filesystem::path& path, const std::filesystem::path& target);

/// Removes temporary files that killed processes left beside `path`. Only for the one process that may write `path`.
void remove_temporaries(const std::filesystem::path& path);

}  // namespace kagami
