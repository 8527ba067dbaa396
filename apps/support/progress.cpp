#include "apps/support/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "apps/support/text.h"
#include "engine/error.h"

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

std::string progress_text(const ProgressValues& v, std::size_t columns) {
  struct Part {
    int worth;  // where the line is too long, what is worth least goes first
    std::string text;
  };
  std::vector<Part> parts;
  const auto add = [&](int worth, const std::string& name, double value, const std::string& shown) {
    if (!std::isnan(value)) parts.push_back({worth, "  " + name + shown});
  };
  add(9, "loss ", v.loss, fixed_text(v.loss, 4));
  add(1, "", v.images_per_second, fixed_text(v.images_per_second, 0) + " img/s");
  add(2, "acc ", v.contrastive_accuracy, percent_text(v.contrastive_accuracy));
  add(3, "std·√d ", v.std_sqrt_d, fixed_text(v.std_sqrt_d, 3));
  add(4, "m_o ", v.mean_norm, fixed_text(v.mean_norm, 3));
  if (!v.verdict.empty()) parts.push_back({5, "  " + v.verdict});
  add(8, "kNN ", v.knn, percent_text(v.knn));
  add(7, "left ", v.seconds_left, duration_text(v.seconds_left));
  const auto line = [&] {
    std::string all = text("epoch ", v.epoch, '/', v.epochs, "  step ", v.step, '/', v.steps);
    for (const Part& part : parts) all += part.text;
    return all;
  };
  while (!parts.empty() && columns_of(line()) > columns) parts.erase(std::ranges::min_element(parts, {}, &Part::worth));
  return first_columns(line(), columns);
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
  if (!terminal_) return put(progress_text(values) + "\n");
  put("\r" + progress_text(values, static_cast<std::size_t>(columns_ - 1)) + "\033[K");
  shown_ = true;
}

void ProgressLine::say(const std::string& line) {
  erase();
  put(line + "\n");
}

}  // namespace kagami::apps
