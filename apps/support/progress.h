#pragma once
// What a run shows while it works: one line that changes on a terminal, a line now and then elsewhere.
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

namespace kagami::apps {

/// What the progress line says. NaN: not measured.
struct ProgressValues {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  int epoch = 0, epochs = 0;
  std::int64_t step = 0, steps = 0;  ///< of the whole run
  double loss = unknown, images_per_second = unknown, contrastive_accuracy = unknown;
  double std_sqrt_d = unknown;  ///< 1: the representation uses all directions; 0: collapsed
  double mean_norm = unknown;   ///< m_o, the length of the mean unit vector; 0: centred, 1: collapsed
  std::string verdict;          ///< of the collapse probe; empty: none yet
  double knn = unknown;
  double seconds_left = unknown;
};
/// In one line of at most `columns`: where they do not suffice, loss, kNN and the time left are the last to go.
std::string progress_text(const ProgressValues& values, std::size_t columns = 1000);

class ProgressLine {
 public:
  /// Looks at standard output: a terminal or not.
  ProgressLine();
  ProgressLine(bool terminal, int columns) : terminal_(terminal), columns_(columns) {}
  ~ProgressLine();
  /// Shows the values, at most every tenth of a second on a terminal and every `plain_interval` seconds elsewhere.
  void show(const ProgressValues& values, bool now = false);
  /// Whether a line changes in place.
  bool terminal() const { return terminal_; }
  /// A line that stays.
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double plain_interval = 10;
  void erase();
  bool terminal_;
  int columns_;
  bool shown_ = false;
  Clock::time_point last_{};
};

}  // namespace kagami::apps
