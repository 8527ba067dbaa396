#include "ssl/collapse.h"

#include <algorithm>
#include <chrono>

#include "engine/autograd.h"
#include "kernels/philox.h"
#include "ssl/metrics.h"

namespace kagami {
namespace {

/// Views of the probe are those of an epoch that no run reaches.
constexpr std::uint32_t probe_epoch = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t first_verdict_step = 200;
/// A step takes at least as long as this many probes of its images: backward passes are longer than forward ones.
constexpr std::int64_t probes_a_step = 2;

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::too_early:
      return "too early";
    case Verdict::healthy:
      return "healthy";
    case Verdict::partial:
      return "partial";
    case Verdict::low_rank:
      return "low rank";
    case Verdict::collapsed:
      return "collapsed";
  }
  return "unknown";
}

std::string explanation(Verdict verdict) {
  switch (verdict) {
    case Verdict::collapsed:
      return "all images get nearly the same vector; a lower learning rate, or what keeps the method from it (stop-"
             "gradient, predictor, negatives), is missing";
    case Verdict::low_rank:
      return "the vectors vary in few directions only";
    case Verdict::partial:
      return "the vectors neither spread out nor coincide";
    default:
      return "";
  }
}

CollapseReport collapse_metrics(const Tensor& compared, std::int64_t views) {
  check(compared && compared.rank() == 2 && views >= 2 && compared.shape(0) % views == 0,
        "collapse metrics: need the vectors of at least two views, [views * n, d], not ", describe(compared));
  const std::int64_t n = compared.shape(0) / views;
  const Tensor first = compared.rows(0, n), second = compared.rows(n, n);
  const Spread spread_now = spread(first);
  const CovarianceMeasures covariance = covariance_measures(first);
  CollapseReport report;
  report.images = n;
  report.dim = compared.shape(1);
  report.m_o = spread_now.m_o;
  report.m_r = spread_now.m_r;
  report.std_sqrt_d = spread_now.std_sqrt_d;
  report.covariance = covariance.penalty;
  report.rank = covariance.participation_ratio;
  report.alignment = alignment(first, second);
  report.uniformity = uniformity(first);
  return report;
}

Verdict verdict_of(const CollapseReport& report, double initial_rank) {
  const bool low_rank = !(report.rank >= 2) || report.rank < 0.1 * initial_rank;
  if (!low_rank && report.m_r > 0.9 && report.std_sqrt_d > 0.8) return Verdict::healthy;
  if (report.step < first_verdict_step) return Verdict::too_early;
  if (!(report.m_o <= 0.9)) return Verdict::collapsed;
  return low_rank ? Verdict::low_rank : Verdict::partial;
}

CollapseProbe::CollapseProbe(const ImageSet& set, const PretrainConfig& config)
    : every_(config.probe_every), batch_(config.batch) {
  images_.resize(static_cast<std::size_t>(set.size()));
  permutation(Philox(config.seed, Purpose::evaluation, 0, 0, probe_epoch), images_.data(), set.size());
  images_.resize(static_cast<std::size_t>(std::min(config.probe_images, set.size())));
  std::sort(images_.begin(), images_.end());
}

bool CollapseProbe::due(const Progress& at) const {
  if (at.step == at.steps) return true;
  if (every_ > 0) return at.step % every_ == 0;
  if (at.step % at.steps_per_epoch != 0) return false;
  const auto count = static_cast<std::int64_t>(images_.size());
  const std::int64_t apart = 100 * count / (probes_a_step * batch_);  // steps
  const std::int64_t epochs_apart = (apart + at.steps_per_epoch - 1) / at.steps_per_epoch;
  return at.step / at.steps_per_epoch % std::max<std::int64_t>(1, epochs_apart) == 0;
}

CollapseReport CollapseProbe::measure(Feed& feed, Method& method, std::int64_t step) {
  const auto start = std::chrono::steady_clock::now();
  const UntouchedState untouched(method);
  const NoGrad no_grad;
  const Views views = feed.views(images_.data(), static_cast<std::int64_t>(images_.size()), probe_epoch);
  method.loss(views);
  CollapseReport report = collapse_metrics(method.compared(), static_cast<std::int64_t>(views.images.size()));
  report.step = step;
  if (step == 0) initial_rank = report.rank;
  report.verdict = verdict_of(report, initial_rank);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

UntouchedState::UntouchedState(Method& method) {
  for (const NamedTensor& t : method.state()) touched_.push_back(t.tensor);
  if (method.params().buffers()) touched_.push_back(method.params().buffers());
  for (const Tensor& t : touched_) before_.push_back(t.clone());
}

UntouchedState::~UntouchedState() {
  for (std::size_t i = 0; i < touched_.size(); ++i) touched_[i].copy_from(before_[i]);
}

}  // namespace kagami
