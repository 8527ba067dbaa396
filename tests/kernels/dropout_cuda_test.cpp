#if KAGAMI_HAS_CUDA
#include "kernels/dropout.h"

#include "tests/kernels/cuda_reference.h"

namespace kagami {
namespace {

const Philox stream = Philox::per_step(11, Purpose::dropout, 5);

template <class T>
class DropoutCuda : public testing::Test {};
using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(DropoutCuda, Types);

TYPED_TEST(DropoutCuda, DropsWhatTheCpuDrops) {
  using T = TypeParam;
  for (const std::int64_t count : {1, 3, 4, 1023, 9001})
    for (const double probability : {0.1, 0.5, 1 - 0x1p-20})
      for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
        SCOPED_TRACE(testing::Message() << count << ", " << probability);
        const std::vector<T> x = normal_values<T>(count, 1), before = normal_values<T>(count, 2);
        std::vector<double> expected = widened(before);
        dropout(test_cpu(), stream, probability, count, widened(x).data(), expected.data(), accumulate);
        const OnDevice<T> from(x);
        const auto [y] = on_every_device([&](const Cuda& device) {
          const OnDevice<T> to(before);
          dropout(device, stream, probability, count, static_cast<const T*>(from.data()), to.data(), accumulate);
          return std::tuple(to.host());
        });
        expect_close("y", y, expected);
        if (accumulate == Accumulate::yes) continue;
        const std::vector<double> values = widened(y);
        for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i] == 0, expected[i] == 0) << i;
      }
}

TYPED_TEST(DropoutCuda, MisalignedMemory) {
  using T = TypeParam;
  constexpr std::int64_t count = 501;
  const std::vector<T> x = normal_values<T>(count + 1, 1);
  const OnDevice<T> from(x);
  const auto [aligned, shifted] = on_every_device([&](const Cuda& device) {
    const OnDevice<T> to(count + 1), moved(count + 1), copy(std::vector<T>(x.begin() + 1, x.end()));
    dropout(device, stream, 0.5, count, static_cast<const T*>(copy.data()), to.data(), Accumulate::no);
    dropout(device, stream, 0.5, count, static_cast<const T*>(from.data()) + 1, moved.data() + 1, Accumulate::no);
    std::vector<T> a = to.host(), b = moved.host();
    return std::tuple(std::vector<T>(a.begin(), a.end() - 1), std::vector<T>(b.begin() + 1, b.end()));
  });
  EXPECT_TRUE(same_bits(aligned, shifted));
}

TEST(DropoutThreshold, IsTheComparisonOfNumbers) {
  Philox random(3, Purpose::test, 0, 0, 0);
  for (const double probability : {0.0, 0.1, 0.25, 1 / 3.0, 0.5, 0.9, 1 - 0x1p-24, 1 - 0x1p-30})
    for (int i = 0; i < 1000; ++i) {
      const std::uint32_t word = random.next();
      EXPECT_EQ(dropout_keeps(word, dropout_threshold(probability)),
                static_cast<double>(unit_float(word)) >= probability);
    }
}

}  // namespace
}  // namespace kagami
#endif
