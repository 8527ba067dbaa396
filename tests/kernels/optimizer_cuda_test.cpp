#if KAGAMI_HAS_CUDA
#include "kernels/optimizer.h"

#include <algorithm>
#include <type_traits>

#include "tests/kernels/cuda_reference.h"

namespace kagami {
namespace {

StepScalars step_scalars(std::uint32_t step) {
  StepScalars scalars;
  scalars.lr[0] = 0.3 / (1 + step);
  scalars.lr[1] = 0.02;
  scalars.momentum = 0.9;
  scalars.ema_tau = 0.97;
  scalars.step = step;
  return scalars;
}

/// Parameters of many sizes: one chunk and several, one element, and more
/// ranges than one launch takes. Between ranges are elements nobody updates.
std::vector<UpdateRange> ranges_of_a_model() {
  std::vector<UpdateRange> ranges;
  std::int64_t offset = 3;
  const auto add = [&](std::int64_t count) {
    const int i = static_cast<int>(ranges.size());
    ranges.push_back({offset, count, i % 2, i % 3 != 1, i % 4 != 3});
    offset += count + 5;
  };
  for (const std::int64_t count : {1, 31, 8192, 8193, 20000, 257, 0, 1024}) add(count);
  for (int i = 0; i < 70; ++i) add(1 + i % 37);
  return ranges;
}

struct Buffers {
  std::vector<UpdateRange> ranges = ranges_of_a_model();
  std::size_t count = static_cast<std::size_t>(ranges.back().offset + ranges.back().count + 4);
  std::vector<float> p = values(1, 1), g = values(2, 0.1F), a = values(3, 0.1F), b = values(4, 0.1F);
  std::vector<float> values(std::uint32_t seed, float scale) const {
    return normal_values<float>(static_cast<std::int64_t>(count), seed, scale);
  }
  Buffers() {
    for (float& x : b) x *= x;  // AdamW's second moment
    const UpdateRange &still = ranges[5], &flat = ranges[8];
    for (std::int64_t i = 0; i < still.count; ++i) p[static_cast<std::size_t>(still.offset + i)] = 0;
    for (std::int64_t i = 0; i < flat.count; ++i) g[static_cast<std::size_t>(flat.offset + i)] = 0;
  }
};

/// Whether `copy` is p rounded where p was written, and untouched elsewhere.
void expect_copy(const std::vector<bf16>& copy, const std::vector<float>& p, const std::vector<UpdateRange>& written) {
  std::vector<std::uint16_t> expected(p.size(), 0xffff);
  for (const UpdateRange& range : written)
    for (std::int64_t i = range.offset; i < range.offset + range.count; ++i)
      expected[static_cast<std::size_t>(i)] = bf16(p[static_cast<std::size_t>(i)]).bits;
  for (std::size_t i = 0; i < p.size(); ++i) ASSERT_EQ(copy[i].bits, expected[i]) << i;
}

/// update(device, ranges, range count, scalars, p, g, a, b, copy) for two
/// steps: CUDA's float beside the CPU's double; the same bits on devices of
/// every size. `written`: where p is updated.
template <class F>
void expect_updates(F&& update, const std::vector<UpdateRange>& written = ranges_of_a_model()) {
  constexpr std::uint32_t steps = 2;
  Buffers start;
  bf16 untouched;
  untouched.bits = 0xffff;
  const std::vector<bf16> blank(start.count, untouched);
  std::vector<double> p = widened(start.p), g = widened(start.g), a = widened(start.a), b = widened(start.b);
  const auto count = static_cast<int>(start.ranges.size());
  for (std::uint32_t step = 0; step < steps; ++step) {
    const StepScalars scalars = step_scalars(step);
    update(test_cpu(), start.ranges.data(), count, &scalars, p.data(), static_cast<const double*>(g.data()), a.data(),
           b.data(), static_cast<bf16*>(nullptr));
  }
  std::vector<float> first_p, first_a;
  Cuda device = test_cuda();
  const int sizes[] = {1, 7, 132};
  int runs = 0;
  under_every_schedule([&] {
    device.multiprocessors = sizes[runs++ % 3];
    const OnDevice<float> dp(start.p), dg(start.g), da(start.a), db(start.b);
    const OnDevice<bf16> copy(blank);
    for (std::uint32_t step = 0; step < steps; ++step) {
      const OnDevice<StepScalars> scalars(std::vector<StepScalars>{step_scalars(step)});
      update(device, start.ranges.data(), count, static_cast<const StepScalars*>(scalars.data()), dp.data(),
             static_cast<const float*>(dg.data()), da.data(), db.data(), copy.data());
    }
    if (first_p.empty()) {
      first_p = dp.host();
      first_a = da.host();
      expect_close("p", first_p, p);
      expect_close("a", first_a, a);
      expect_close("b", db.host(), b);
      expect_copy(copy.host(), first_p, written);
    }
    EXPECT_EQ(dp.host(), first_p);
    EXPECT_EQ(da.host(), first_a);
  });
}

TEST(OptimizerCuda, Sgd) {
  for (const bool nesterov : {false, true}) {
    SCOPED_TRACE(nesterov);
    expect_updates(
        [&](auto device, auto* ranges, int count, auto* scalars, auto* p, auto* g, auto* a, auto*, bf16* copy) {
          sgd_update(device, ranges, count, scalars, {0.01, nesterov}, p, g, a, copy);
        });
  }
}

TEST(OptimizerCuda, Lars) {
  for (int flags = 0; flags < 8; ++flags) {
    SCOPED_TRACE(flags);
    LarsSettings settings{0.01, 0.02};
    settings.joint_norm = (flags & 1) != 0;
    settings.clip = (flags & 2) != 0;
    settings.lr_in_momentum = (flags & 4) != 0;
    expect_updates([&](auto device, auto* ranges, int count, auto* scalars, auto* p, auto* g, auto* a, auto*,
                       bf16* copy) { lars_update(device, ranges, count, scalars, settings, p, g, a, copy); });
  }
}

TEST(OptimizerCuda, AdamW) {
  expect_updates(
      [&](auto device, auto* ranges, int count, auto* scalars, auto* p, auto* g, auto* a, auto* b, bf16* copy) {
        adamw_update(device, ranges, count, scalars, {0.05, 0.999, 1e-8}, p, g, a, b, copy);
      });
}

TEST(OptimizerCuda, Ema) {
  const UpdateRange last = ranges_of_a_model().back();
  const std::int64_t all = last.offset + last.count;
  expect_updates(
      [&](auto device, auto*, int, auto* scalars, auto* p, auto*, auto* a, auto*, bf16* copy) {
        using T = std::remove_pointer_t<decltype(p)>;
        ema_update(device, scalars, static_cast<const T*>(a), EmaTarget<T>{p, all, copy});
      },
      {{0, all, 0, false, false}});
}

/// Parameters and target after three steps: with the target in the update, or
/// each range's in a pass after it.
struct Followed {
  std::vector<float> p, target;
  std::vector<bf16> copy;
};
template <class F>
Followed follow(Cuda device, bool fused, F&& update) {
  const Buffers start;
  const std::vector<UpdateRange>& ranges = start.ranges;
  const std::int64_t end = ranges[4].offset + 10000;  // within a range of several chunks
  const OnDevice<float> p(start.p), g(start.g), a(start.a), b(start.b), t(start.values(9, 1));
  const OnDevice<bf16> copy(start.count);
  const EmaTarget<float> target{t.data(), end, copy.data()};
  for (std::uint32_t step = 0; step < 3; ++step) {
    const OnDevice<StepScalars> scalars(std::vector<StepScalars>{step_scalars(step)});
    update(device, ranges.data(), static_cast<int>(ranges.size()), scalars.data(), p.data(), g.data(), a.data(),
           b.data(), fused ? target : EmaTarget<float>{});
    if (fused) continue;
    for (const UpdateRange& range : ranges)
      ema_update<float>(
          device, scalars.data(), p.data() + range.offset,
          {t.data() + range.offset, std::min(range.count, end - range.offset), copy.data() + range.offset});
  }
  return {p.host(), t.host(), copy.host()};
}

TEST(OptimizerCuda, ATargetInTheUpdateIsAPassOfItsOwnToTheBit) {
  const auto check = [](auto&& update) {
    const Followed apart = follow(test_cuda(), false, update);
    under_every_schedule([&] {
      const Followed fused = follow(test_cuda(), true, update);
      EXPECT_TRUE(same_bits(fused.p, apart.p));
      EXPECT_TRUE(same_bits(fused.target, apart.target));
      EXPECT_TRUE(same_bits(fused.copy, apart.copy));
    });
    EXPECT_FALSE(same_bits(apart.target, Buffers().values(9, 1)));
  };
  using Target = EmaTarget<float>;
  check([](Cuda device, auto* ranges, int count, auto* scalars, float* p, const float* g, float* a, float*,
           const Target& target) {
    sgd_update(device, ranges, count, scalars, {0.01, true}, p, g, a, nullptr, target);
  });
  check([](Cuda device, auto* ranges, int count, auto* scalars, float* p, const float* g, float* a, float*,
           const Target& target) {
    lars_update(device, ranges, count, scalars, {0.01, 0.02}, p, g, a, nullptr, target);
  });
  check([](Cuda device, auto* ranges, int count, auto* scalars, float* p, const float* g, float* a, float* b,
           const Target& target) {
    adamw_update(device, ranges, count, scalars, {0.05, 0.999, 1e-8}, p, g, a, b, nullptr, target);
  });
}

TEST(OptimizerCuda, NanStaysVisible) {
  std::vector<float> p(40, 1.0F), g(40, 0.5F), v(40, 0.0F);
  g[7] = NAN;
  const UpdateRange range{0, 40, 0, true, true};
  const OnDevice<float> dp(p), dg(g), dv(v);
  const OnDevice<StepScalars> scalars(std::vector<StepScalars>{step_scalars(0)});
  lars_update(test_cuda(), &range, 1, scalars.data(), {}, dp.data(), static_cast<const float*>(dg.data()), dv.data());
  for (const float x : dp.host()) EXPECT_TRUE(std::isnan(x));
}

}  // namespace
}  // namespace kagami
#endif
