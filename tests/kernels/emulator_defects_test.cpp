// The emulator must notice every planted defect, under the schedules written beside it, and nothing in the correct one.
#if KAGAMI_EMULATED
#include <functional>
#include <string>

#include "tests/kernels/cuda_case.h"
#include "tests/kernels/cuda_values.h"
#include "tests/kernels/defective_kernels.h"

namespace kagami {
namespace {

using emulator::Async, emulator::Order;

// ---- running them

/// One mark for each of six schedules: E an error was reported, N wrong numbers, . nothing noticed.
std::string marks_of(const std::function<double()>& error) {
  const struct {
    Order order;
    Async async;
    std::uint64_t seed;
  } schedules[] = {{Order::forward, Async::eager, 0}, {Order::reverse, Async::lazy, 0},
                   {Order::random, Async::random, 1}, {Order::random, Async::random, 2},
                   {Order::random, Async::random, 3}, {Order::random, Async::random, 4}};
  struct Restore {
    emulator::Config before = emulator::config();
    ~Restore() { emulator::config() = before; }
  } restore;
  emulator::config().arch = 90;
  std::string marks;
  for (const auto& schedule : schedules) {
    emulator::config().order = schedule.order;
    emulator::config().async = schedule.async;
    emulator::config().seed = schedule.seed;
    try {
      marks += error() <= 5e-3 ? '.' : 'N';
    } catch (const emulator::Error&) {
      marks += 'E';
    }
  }
  return marks;
}

/// `expected` has a mark for each schedule; '?' where either outcome is fine.
testing::AssertionResult like(const std::string& marks, const std::string& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (expected[i] != '?' && expected[i] != marks[i])
      return testing::AssertionFailure() << "noticed " << marks << ", expected " << expected;
  return testing::AssertionSuccess();
}

using Want = std::function<double(const std::vector<float>&, std::size_t)>;

template <auto Kernel>
std::function<double()> on_floats(int count, Want want, std::size_t shared = 0) {
  return [=] {
    const std::vector<float> in = random_floats(static_cast<std::size_t>(count), 1);
    OnDevice<float> on(in), out(std::vector<float>(in.size(), 0.0F));
    launch<Kernel>(test_cuda(), dim3{1}, dim3{256}, shared, on.data(), out.data(), count);
    std::vector<double> wanted;
    for (std::size_t i = 0; i < in.size(); ++i) wanted.push_back(want(in, i));
    return relative_error(out.host(), wanted);
  };
}

double reversed(const std::vector<float>& v, std::size_t i) { return double(v[i / 256 * 256 + 255 - i % 256]); }
double squares_minus_sum(const std::vector<float>& v, std::size_t i) {
  double sum = 0, squares = 0;
  for (const float x : v) sum += double(x), squares += double(x) * double(x);
  return squares - sum * double(v[i]);
}
double same(const std::vector<float>& v, std::size_t i) { return double(v[i]); }

template <auto Good, auto Bad>
void expect_noticed(const char* expected, int count, const Want& want, std::size_t shared = 0) {
  EXPECT_TRUE(like(marks_of(on_floats<Bad>(count, want, shared)), expected));
  EXPECT_TRUE(like(marks_of(on_floats<Good>(count, want, shared)), "......"));
}

TEST(EmulatorDefects, MissingBarriers) {
  expect_noticed<two_sums<false>, two_sums<true>>("NN????", 256, squares_minus_sum);
  expect_noticed<reverse_twice<missing_raw, false>, reverse_twice<missing_raw, true>>("NNNNNN", 1024, reversed);
  expect_noticed<reverse_twice<missing_war, false>, reverse_twice<missing_war, true>>("NNNNNN", 1024, reversed);
  expect_noticed<warp_exchange_without_syncwarp<false>, warp_exchange_without_syncwarp<true>>(
      "NNNNNN", 256, [](auto& v, std::size_t i) { return double(v[i ^ 31]); });
}

TEST(EmulatorDefects, DivergedBarriers) {
  expect_noticed<barrier_in_branch<false>, barrier_in_branch<true>>("EEEEEE", 256, reversed);
  expect_noticed<early_return<false>, early_return<true>>("EEEEEE", 256, reversed);
  expect_noticed<two_barriers<false>, two_barriers<true>>("EEEEEE", 256, reversed);
  expect_noticed<shuffle_in_branch<false>, shuffle_in_branch<true>>(
      "EEEEEE", 256, [](auto& v, std::size_t i) { return double(v[i]) + double(v[i ^ 1]); });
  expect_noticed<named_barrier_count<false>, named_barrier_count<true>>(
      "EEEEEE", 256, [](auto& v, std::size_t i) { return double(v[i ^ 127]); });
}

TEST(EmulatorDefects, CopiesReadOrOverwrittenTooEarly) {
  expect_noticed<cp_async_no_wait<false>, cp_async_no_wait<true>>(".NNNNN", 256, reversed);
  expect_noticed<cp_async_wait_off_by_one<false>, cp_async_wait_off_by_one<true>>(".NNNNN", 2048, reversed);
  expect_noticed<cp_async_stage_reused<false>, cp_async_stage_reused<true>>("NNNNNN", 2048, reversed);
}

TEST(EmulatorDefects, MisalignedMatrixRows) {
  EXPECT_TRUE(like(marks_of(on_floats<misaligned_ldmatrix<true>>(256, same)), "EEEEEE"));
  EXPECT_TRUE(like(marks_of(on_floats<misaligned_ldmatrix<false>>(256, same)), "......"));
}

// ---- sm_90

TensorMap tile_map(bf16* values, int k, int swizzle) {
  const std::uint64_t dims[] = {std::uint64_t(k), 64}, strides[] = {std::uint64_t(k) * 2};
  const std::uint32_t box[] = {64, 64};
  return make_tensor_map_bf16({values, dims, strides, box, swizzle});
}

template <int Bug>
double hopper_error(int swizzle) {
  constexpr int k = 64 * 7;
  const std::vector<bf16> a = random_bf16(64 * k, 3), b = random_bf16(64 * k, 4);
  OnDevice<bf16> on_a(a), on_b(b);
  OnDevice<float> c(64 * 64);
  launch<hopper<Bug>>(test_cuda(), dim3{1}, dim3{160}, sizeof(Storage), k, tile_map(on_a.data(), k, swizzle),
                      tile_map(on_b.data(), k, swizzle), c.data());
  return relative_error(c.host(), product_with_transpose(64, 64, k, a, b));
}

template <int Bug>
std::string hopper_marks() {
  return marks_of([] { return hopper_error<Bug>(128); });
}

TEST(EmulatorDefects, PipelineOfTmaAndWgmma) {
  EXPECT_TRUE(like(hopper_marks<h_none>(), "......"));
  EXPECT_TRUE(like(hopper_marks<h_no_empty_wait>(), "EEEEEE"));
  EXPECT_TRUE(like(hopper_marks<h_wrong_parity>(), "EEEEEE"));
  EXPECT_TRUE(like(hopper_marks<h_wrong_bytes>(), "ENEEEE"));
  EXPECT_TRUE(like(hopper_marks<h_early_release>(), "?.NNNN"));
  EXPECT_TRUE(like(hopper_marks<h_no_wgmma_wait>(), "?NNNNN"));
  EXPECT_TRUE(like(hopper_marks<h_no_fence>(), "EEEEEE"));
  EXPECT_TRUE(like(hopper_marks<h_no_init_sync>(), ".EEEEE"));
  EXPECT_TRUE(like(hopper_marks<h_all_lanes_issue>(), "EEEEEE"));
  EXPECT_TRUE(like(hopper_marks<h_three_warps>(), "EEEEEE"));
  EXPECT_TRUE(like(marks_of([] { return hopper_error<h_none>(0); }), "NNNNNN")) << "wrong swizzle";
}

template <bool Bug>
double stored_tiles_error() {
  const std::vector<bf16> a = random_bf16(64 * 64, 3), b = random_bf16(64 * 64, 4);
  OnDevice<bf16> on_a(a), on_b(b);
  OnDevice<float> c(64 * 64);
  launch<wgmma_without_proxy_fence<Bug>>(test_cuda(), dim3{1}, dim3{128}, sizeof(Storage), on_a.data(), on_b.data(),
                                         c.data());
  return relative_error(c.host(), product_with_transpose(64, 64, 64, a, b));
}

template <int Which, bool Bug>
double tma_store_error() {
  const std::vector<bf16> a = random_bf16(64 * 64, 3);
  OnDevice<bf16> in(a), out(64 * 64);
  launch<tma_store_tile<Which, Bug>>(test_cuda(), dim3{1}, dim3{128}, sizeof(Storage), tile_map(out.data(), 64, 0),
                                     in.data());
  std::vector<double> want;
  for (const bf16 value : a) want.push_back(double(float(value)));
  return relative_error(out.host(), want);
}

TEST(EmulatorDefects, ForgottenProxyFencesAndStores) {
  EXPECT_TRUE(like(marks_of(stored_tiles_error<false>), "......"));
  EXPECT_TRUE(like(marks_of(stored_tiles_error<true>), "NNNNNN"));
  EXPECT_TRUE(like(marks_of(tma_store_error<st_no_fence, false>), "......"));
  EXPECT_TRUE(like(marks_of(tma_store_error<st_no_fence, true>), "NNNNNN"));
  EXPECT_TRUE(like(marks_of(tma_store_error<st_no_wait, true>), "EEEEEE"));
}

// ---- memory: what only the sanitizers see, and what crashes

template <auto Kernel>
void run_once(int count, std::size_t shared = 0) {
  on_floats<Kernel>(count, same, shared)();
}

TEST(EmulatorDefects, CorrectAccessesAreNoDefect) {
  run_once<lost_update<false>>(100);
  run_once<shared_out_of_bounds<false>>(256);
  run_once<shared_row_overflow<false>>(256);
  run_once<dynamic_shared_too_small<false>>(256, sizeof(Small));
  run_once<global_read_out_of_bounds<false>>(256);
  run_once<global_write_out_of_bounds<false>>(501);
  run_once<index_overflow<false>>(256);
  run_once<misaligned_float4<false>>(1024);
  run_once<stack_overflow<false>>(256);
}

#if KAGAMI_ASAN
TEST(EmulatorDefectsDeathTest, TheSanitizersSeeBadAccesses) {
  EXPECT_DEATH(run_once<shared_out_of_bounds<true>>(256), "use-after-poison");
  EXPECT_DEATH(run_once<dynamic_shared_too_small<true>>(256, sizeof(Small)), "use-after-poison");
  EXPECT_DEATH(run_once<shared_row_overflow<true>>(256), "index 1[67] out of bounds");
  EXPECT_DEATH(run_once<global_read_out_of_bounds<true>>(256), "heap-buffer-overflow");
  EXPECT_DEATH(run_once<global_write_out_of_bounds<true>>(501), "heap-buffer-overflow");
  EXPECT_DEATH(run_once<index_overflow<true>>(256), "signed integer overflow");
  EXPECT_DEATH(run_once<misaligned_float4<true>>(1024), "misaligned address");
}
TEST(EmulatorDefectsDeathTest, TheReportEndsWithTheThread) {
  EXPECT_DEATH(run_once<global_read_out_of_bounds<true>>(256),
               "the error above is in thread \\([0-9]+,0,0\\)\n  kernel .*global_read_out_of_bounds<true>");
}
#elif !KAGAMI_TSAN
TEST(EmulatorDefectsDeathTest, AStackOverflowIsNamed) {
  EXPECT_DEATH(run_once<stack_overflow<true>>(256),
               "stack overflow .*in thread \\([0-9]+,0,0\\)\n  kernel .*stack_overflow");
}
#else
TEST(EmulatorDefectsDeathTest, ThreadSanitizerSeesRaces) {
  EXPECT_DEATH((run_once<lost_update<true>>(100), std::exit(66)), "data race");
}
#endif

}  // namespace
}  // namespace kagami
#endif
