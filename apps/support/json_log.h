#pragma once
// RUN/log.jsonl: one JSON object a line, appended, and cut back to a checkpoint on --resume.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace kagami::apps {

/// One line being built. A number that is not finite becomes null.
class JsonLine {
 public:
  JsonLine& add(std::string_view key, double value);
  JsonLine& add(std::string_view key, std::int64_t value);
  JsonLine& add(std::string_view key, int value) { return add(key, std::int64_t{value}); }
  JsonLine& add(std::string_view key, std::string_view value);
  JsonLine& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  std::string text() const { return text_ + "}"; }

 private:
  JsonLine& key(std::string_view name);
  std::string text_ = "{";
};

class JsonLog {
 public:
  /// Opens for appending, and creates. Throws std::runtime_error naming the file.
  explicit JsonLog(std::filesystem::path file);
  ~JsonLog();
  JsonLog(const JsonLog&) = delete;
  JsonLog& operator=(const JsonLog&) = delete;
  /// One write per line. Throws std::runtime_error naming the file when the disk is full.
  void write(const JsonLine& line);

 private:
  std::filesystem::path file_;
  int descriptor_;
};

/// Removes the lines after the given step, and what a killed process left half written. Returns how many lines stay.
std::int64_t cut_log_back(const std::filesystem::path& file, std::int64_t step);

}  // namespace kagami::apps
