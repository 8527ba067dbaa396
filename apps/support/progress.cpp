#include "apps/support/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "apps/support/text.h"

namespace kagami::apps {
namespace {

int terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

/// A reader that went away (`| head`) does not stop a run: what cannot be shown is dropped.
void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

std::string progress_text(const ProgressValues& v) {
  std::string line = "epoch " + std::to_string(v.epoch) + "/" + std::to_string(v.epochs) + "  step " +
                     std::to_string(v.step) + "/" + std::to_string(v.steps);
  const auto part = [&line](const std::string& name, double value, const std::string& shown) {
    if (!std::isnan(value)) line += "  " + name + shown;
  };
  part("loss ", v.loss, fixed_text(v.loss, 4));
  part("", v.images_per_second, fixed_text(v.images_per_second, 0) + " img/s");
  part("acc ", v.contrastive_accuracy, percent_text(v.contrastive_accuracy));
  part("std·√d ", v.std_sqrt_d, fixed_text(v.std_sqrt_d, 3));
  part("m_o ", v.mean_norm, fixed_text(v.mean_norm, 3));
  if (!v.verdict.empty()) line += "  " + v.verdict;
  part("kNN ", v.knn, percent_text(v.knn));
  part("left ", v.seconds_left, duration_text(v.seconds_left));
  return line;
}

ProgressLine::ProgressLine() : ProgressLine(isatty(STDOUT_FILENO) == 1, terminal_columns()) {}

ProgressLine::~ProgressLine() {
  if (shown_) put("\n");
}

void ProgressLine::erase() {
  if (shown_) put("\r\033[K");
  shown_ = false;
}

void ProgressLine::show(const ProgressValues& values, bool now) {
  const auto time = Clock::now();
  const double since = std::chrono::duration<double>(time - last_).count();
  if (!now && last_ != Clock::time_point{} && since < (terminal_ ? 0.1 : plain_interval)) return;
  last_ = time;
  const std::string line = progress_text(values);
  if (!terminal_) return put(line + "\n");
  put("\r" + first_columns(line, static_cast<std::size_t>(columns_ - 1)) + "\033[K");
  shown_ = true;
}

void ProgressLine::say(const std::string& line) {
  erase();
  put(line + "\n");
}

}  // namespace kagami::apps
