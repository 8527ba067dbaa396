#include "bench/vendor/library.h"

#include <algorithm>
#include <stdexcept>

namespace kagami::bench {

const char* name_of(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return "forward";
    case Pass::dgrad:
      return "dgrad";
    case Pass::wgrad:
      return "wgrad";
  }
  return "";
}

Fastest fastest(const Stopwatch& stopwatch, std::vector<Candidate> candidates) {
  constexpr int screening_runs = 3, finalists = 3, final_runs = 11;
  std::vector<std::pair<double, std::shared_ptr<Candidate>>> screened;
  for (Candidate& candidate : candidates) {
    try {
      stopwatch.once(candidate.run);  // the first run may load or compile kernels
      const double us = stopwatch.median(candidate.run, screening_runs);
      screened.emplace_back(us, std::make_shared<Candidate>(std::move(candidate)));
    } catch (const std::runtime_error&) {
      // a plan that does not run here is none of the library's ways
    }
  }
  Fastest result;
  result.tried = static_cast<int>(screened.size());
  std::sort(screened.begin(), screened.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  int older = 0, any = 0;
  for (const auto& [screening, candidate] : screened) {
    const bool before_sm90 = candidate->architecture > 0 && candidate->architecture < 90;
    if (any >= finalists && !(before_sm90 && older < finalists)) continue;
    ++any, older += before_sm90;
    const double us = stopwatch.median(candidate->run, final_runs);
    if (!result.of_all || us < result.us) result.of_all = candidate, result.us = us;
    if (before_sm90 && (!result.before_sm90 || us < result.us_before_sm90))
      result.before_sm90 = candidate, result.us_before_sm90 = us;
  }
  return result;
}

}  // namespace kagami::bench
