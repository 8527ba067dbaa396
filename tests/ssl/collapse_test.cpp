#include "ssl/collapse.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ssl/metrics.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;

constexpr std::int64_t n = 128, d = 16;

/// Two views whose row i is center + spread * (noise in the first `directions` dimensions), the second a little moved.
Tensor vectors(double center, double spread, std::int64_t directions) {
  const std::vector<double> noise = random_tensor({n, d}, DType::f64, 1, -1, 1).to_host<double>();
  const std::vector<double> moved = random_tensor({n, d}, DType::f64, 2, -0.05, 0.05).to_host<double>();
  std::vector<double> z(static_cast<std::size_t>(2 * n * d));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < d; ++j) {
      const auto at = static_cast<std::size_t>(i * d + j);
      const double x = j < directions ? spread * noise[at] : 0;
      z[at] = center + x;
      z[at + static_cast<std::size_t>(n * d)] = center + x + spread * moved[at];
    }
  return Tensor::from(z, {2 * n, d}, Device::cpu());
}

CollapseReport late(const Tensor& z, double initial_rank = CollapseProbe::unknown_rank) {
  CollapseReport report = collapse_metrics(z, 2);
  report.step = 1000;
  report.verdict = verdict_of(report, initial_rank);
  return report;
}

TEST(Collapse, MetricsAreThoseOfTheFirstView) {
  const Tensor z = vectors(0.3, 1, d);
  const CollapseReport report = collapse_metrics(z, 2);
  const Tensor first = z.rows(0, n), second = z.rows(n, n);
  EXPECT_EQ(report.images, n);
  EXPECT_EQ(report.dim, d);
  EXPECT_EQ(report.m_o, spread(first).m_o);
  EXPECT_EQ(report.rank, participation_ratio(first));
  EXPECT_EQ(report.covariance, covariance_penalty(first));
  EXPECT_EQ(report.alignment, alignment(first, second));
  EXPECT_EQ(report.uniformity, uniformity(first));
  EXPECT_THROW(collapse_metrics(z.rows(0, 2 * n - 1), 2), InputError);
}

TEST(Collapse, EveryVerdictIsGiven) {
  EXPECT_EQ(late(vectors(0, 1, d)).verdict, Verdict::healthy);
  EXPECT_EQ(late(vectors(1, 0.1, d)).verdict, Verdict::collapsed);
  EXPECT_EQ(late(vectors(1, 0, d)).verdict, Verdict::collapsed);  // exactly constant: rank is 0 / 0
  EXPECT_EQ(late(vectors(0, 1, 1)).verdict, Verdict::low_rank);   // +e and -e: m_o, m_r alone look healthy
  EXPECT_GT(late(vectors(0, 1, 1)).m_r, 0.9);
  EXPECT_EQ(late(vectors(0.6, 1, d)).verdict, Verdict::partial);
  EXPECT_EQ(late(vectors(0, 1, 4), 100).verdict, Verdict::low_rank);  // 4 of 100 directions are left
  EXPECT_EQ(late(vectors(0, 1, d), 100).verdict, Verdict::healthy);
}

TEST(Collapse, ANetworkIsNotJudgedBeforeItTrained) {
  CollapseReport report = collapse_metrics(vectors(1, 0.1, d), 2);
  report.step = 199;
  EXPECT_EQ(verdict_of(report, CollapseProbe::unknown_rank), Verdict::too_early);
  report.step = 200;
  EXPECT_EQ(verdict_of(report, CollapseProbe::unknown_rank), Verdict::collapsed);
  EXPECT_EQ(verdict_of(collapse_metrics(vectors(0, 1, d), 2), CollapseProbe::unknown_rank), Verdict::healthy);
}

TEST(Collapse, OnlyWhatIsWrongIsExplained) {
  EXPECT_EQ(explanation(Verdict::healthy), "");
  EXPECT_EQ(explanation(Verdict::too_early), "");
  for (const Verdict bad : {Verdict::partial, Verdict::low_rank, Verdict::collapsed}) EXPECT_NE(explanation(bad), "");
  EXPECT_STREQ(name_of(Verdict::low_rank), "low rank");
}

TEST(Collapse, ProbesTakeUnderAHundredthOfTheTime) {
  ImageSetBuilder builder;
  for (int i = 0; i < 600; ++i) builder.add(std::vector<std::uint8_t>(3), 1, 1, text(i));
  const ImageSet set = builder.finish();
  PretrainConfig config;
  config.batch = 100;
  const auto probes = [&] {
    const CollapseProbe probe(set, config);
    std::vector<std::int64_t> steps;
    Progress at{.steps = 603, .steps_per_epoch = 6};
    for (at.step = 1; at.step <= at.steps; ++at.step)
      if (probe.due(at)) steps.push_back(at.step);
    return steps;
  };
  // 512 images take up to 2.56 steps of 100 images: the first end of an epoch after 256 steps.
  EXPECT_EQ(probes(), (std::vector<std::int64_t>{258, 516, 603}));
  config.probe_every = 250;
  EXPECT_EQ(probes(), (std::vector<std::int64_t>{250, 500, 603}));
  config.batch = 512;
  config.probe_every = 0;
  config.probe_images = 8;
  EXPECT_EQ(probes().size(), 101U);  // every epoch, and the end
}

}  // namespace
}  // namespace kagami
