#pragma once
// The collapse probe: metrics of a fixed set of training images, and what they say about the representation.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "ssl/feed.h"
#include "ssl/method.h"

namespace kagami {

/// too_early: before step 200 nothing but health can be told.
enum class Verdict : std::uint8_t { too_early, healthy, partial, low_rank, collapsed };
const char* name_of(Verdict verdict);
/// What it means and what to do, in a line for a user; empty for healthy and too_early.
std::string explanation(Verdict verdict);

struct CollapseReport {
  std::int64_t step = 0;             ///< after this many steps
  std::int64_t images = 0, dim = 0;  ///< of the vectors that enter the similarity
  double m_o = 0, m_r = 0;           ///< see metrics.h; of the first view
  double std_sqrt_d = 0;
  double covariance = 0;                 ///< covariance_penalty
  double rank = 0;                       ///< participation_ratio, from 1 to dim
  double alignment = 0, uniformity = 0;  ///< Wang and Isola 2020
  Verdict verdict = Verdict::too_early;
  double seconds = 0;
};

/// Metrics of compared vectors [views * n, d] of `views` views, the first two of which are looked at. No verdict.
CollapseReport collapse_metrics(const Tensor& compared, std::int64_t views);

/// collapsed: m_o > .9. low_rank: rank below 2, or below a tenth of `initial_rank` (NaN: not known). healthy: m_r > .9
/// and std_sqrt_d > .8. Otherwise partial. Before step 200: healthy or too_early.
Verdict verdict_of(const CollapseReport& report, double initial_rank);

class CollapseProbe {
 public:
  static constexpr double unknown_rank = std::numeric_limits<double>::quiet_NaN();

  /// Chooses config.probe_images of the set's images by the seed, all of a smaller set.
  CollapseProbe(const ImageSet& set, const PretrainConfig& config);
  /// Whether a probe is due after a step: every config.probe_every steps, or at ends of epochs, seldom enough to take
  /// less than a hundredth of the time; always after the last step.
  bool due(const Progress& progress) const;
  /// Two views of the images through method.loss() without graph, in train mode: each view has the batch statistics of
  /// these images. Buffers and state of the method are put back; no random number of the training is used.
  CollapseReport measure(Feed& feed, Method& method, std::int64_t step);

  /// The rank before the first step: what later ones are compared with.
  double initial_rank = unknown_rank;

 private:
  std::vector<std::int64_t> images_;
  std::int64_t every_, batch_;
};

/// Puts back, when it goes, what a forward pass in train mode changes: running statistics and the method's state.
class UntouchedState {
 public:
  explicit UntouchedState(Method& method);
  ~UntouchedState();
  UntouchedState(const UntouchedState&) = delete;
  UntouchedState& operator=(const UntouchedState&) = delete;

 private:
  std::vector<Tensor> touched_, before_;
};

}  // namespace kagami
