#pragma once
// A file as read-only memory: pages come from the disk when they are touched.
#include <cstddef>
#include <filesystem>
#include <span>

namespace kagami {

/// Maps a whole regular file. Throws InputError with the file's name and the reason.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace kagami
