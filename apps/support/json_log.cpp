#include "apps/support/json_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

#include "apps/support/options.h"
#include "engine/error.h"

namespace kagami::apps {
namespace json = boost::json;

JsonLine& JsonLine::key(std::string_view name) {
  if (text_.size() > 1) text_ += ", ";
  text_ += json::serialize(json::string_view(name.data(), name.size())) + ": ";
  return *this;
}

JsonLine& JsonLine::add(std::string_view name, double value) {
  key(name).text_ += std::isfinite(value) ? number_text(value) : "null";
  return *this;
}

JsonLine& JsonLine::add(std::string_view name, std::int64_t value) {
  key(name).text_ += std::to_string(value);
  return *this;
}

JsonLine& JsonLine::add(std::string_view name, std::string_view value) {
  key(name).text_ += json::serialize(json::string_view(value.data(), value.size()));
  return *this;
}

JsonLog::JsonLog(std::filesystem::path file)
    : file_(std::move(file)), descriptor_(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) throw std::runtime_error(text(file_.string(), ": cannot be opened: ", std::strerror(errno)));
}

JsonLog::~JsonLog() { ::close(descriptor_); }

void JsonLog::write(const JsonLine& line) {
  const std::string whole = line.text() + "\n";
  std::size_t done = 0;
  while (done < whole.size()) {
    const ssize_t n = ::write(descriptor_, whole.data() + done, whole.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::runtime_error(text(file_.string(), ": cannot be written: ", std::strerror(errno)));
    done += static_cast<std::size_t>(n);
  }
}

std::int64_t cut_log_back(const std::filesystem::path& file, std::int64_t step) {
  std::ifstream in(file);
  if (!in) return 0;
  std::uintmax_t kept_bytes = 0;
  std::int64_t kept_lines = 0;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    const json::value* at = !error && value.is_object() ? value.get_object().if_contains("step") : nullptr;
    if (!at || !at->is_int64() || at->get_int64() > step) break;
    kept_bytes += line.size() + 1;
    ++kept_lines;
  }
  std::error_code error;
  std::filesystem::resize_file(file, kept_bytes, error);
  if (error) throw std::runtime_error(text(file.string(), ": cannot be cut back: ", error.message()));
  return kept_lines;
}

}  // namespace kagami::apps
