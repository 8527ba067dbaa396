#pragma once
// The folder of one training run: who may write to it, and what is in it.
#include <filesystem>
#include <string>

namespace kagami::apps {

enum class RunStart { fresh, resume, overwrite };

/// Holds RUN/lock while it lives. RUN/config.ini says how the run was made, RUN/log.jsonl what it measured; checkpoints
/// lie beside them.
class RunFolder {
 public:
  /// fresh: creates the folder; refuses one that holds a run, or files that are none. overwrite: removes the run that
  /// is there, and nothing else. resume: needs one. Throws InputError saying what to do; another process in it is
  /// refused.
  RunFolder(std::filesystem::path folder, RunStart start);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path config() const { return folder_ / "config.ini"; }
  std::filesystem::path log() const { return folder_ / "log.jsonl"; }
  /// Removes what the run that is there wrote, by its names, and nothing else; writes the config.ini of the new one.
  void begin(const std::string& config_text);
  /// Removes the run that was begun here, if one was: nothing came of it.
  void withdraw();
  /// Whether a folder holds a run.
  static bool holds_run(const std::filesystem::path& folder);

 private:
  void remove_run();
  void lock();
  std::filesystem::path folder_;
  bool created_ = false, begun_ = false;
  int lock_ = -1;
};

/// The file is the old one or the whole new one. Throws like AtomicFile.
void write_whole_file(const std::filesystem::path& file, const std::string& content);
/// Throws std::runtime_error naming the file.
std::string read_whole_file(const std::filesystem::path& file);

}  // namespace kagami::apps
