#include "engine/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "engine/error.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(AtomicFile, TheOldVersionStaysUntilCommit) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "old");
  {
    AtomicFile file(folder / "a.txt");
    file.write("new version");
    EXPECT_EQ(read_bytes(folder / "a.txt"), "old");
    file.write_at(0, "NEW", 3);
    file.write("!");
    file.commit();
  }
  EXPECT_EQ(read_bytes(folder / "a.txt"), "NEW version!");
  EXPECT_EQ(folder.file_count(), 1U);
}

TEST(AtomicFile, WithoutCommitNothingChanges) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "old");
  AtomicFile(folder / "a.txt").write("new");
  EXPECT_EQ(read_bytes(folder / "a.txt"), "old");
  EXPECT_EQ(folder.file_count(), 1U);
}

TEST(AtomicFile, WritesThroughASymbolicLink) {
  const TemporaryFolder folder;
  write_bytes(folder / "real.txt", "old");
  std::filesystem::create_symlink("real.txt", folder / "link.txt");
  AtomicFile file(folder / "link.txt");
  file.write("new");
  file.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link.txt"));
  EXPECT_EQ(read_bytes(folder / "real.txt"), "new");
}

TEST(AtomicFile, PathsThatCannotBeFilesAreBadInput) {
  const TemporaryFolder folder;
  expect_message(message_of<InputError>([&] { AtomicFile file(folder / "none/a.txt"); }),
                 {"none/a.txt", "No such file or directory"});
  expect_message(message_of<InputError>([&] { AtomicFile file(folder.path()); }), {"it is a folder"});
  expect_message(message_of<InputError>([&] { AtomicFile file("/dev/full"); }), {"/dev/full", "not a regular file"});
  expect_message(message_of<InputError>([&] { AtomicFile file(""); }), {"names no file"});
}

TEST(AtomicFile, OverTheSizeLimitIsAnErrorThatNamesTheFileAndNotASignal) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.bin", "old");
  const std::string data(100'000, 'x');
  {
    const FileSizeLimit limit(50'000);
    expect_message(message_of<std::runtime_error>([&] {
                     AtomicFile file(folder / "a.bin");
                     file.write(data);
                     file.commit();
                   }),
                   {"cannot write", "a.bin", "larger than"});
  }
  EXPECT_EQ(read_bytes(folder / "a.bin"), "old");
  EXPECT_EQ(folder.file_count(), 1U);
  sigset_t pending;
  sigpending(&pending);
  EXPECT_FALSE(sigismember(&pending, SIGXFSZ));
}

TEST(AtomicFile, RemovesTheTemporariesOfKilledProcesses) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.bin", "data");
  write_bytes(folder / ".a.bin.123-0.tmp", "half");
  write_bytes(folder / ".b.bin.123-0.tmp", "of another file");
  remove_temporaries(folder / "a.bin");
  EXPECT_FALSE(std::filesystem::exists(folder / ".a.bin.123-0.tmp"));
  EXPECT_EQ(folder.file_count(), 2U);
}

}  // namespace
}  // namespace kagami
