#if KAGAMI_HAS_CUDA
#include <cmath>
#include <random>
#include <vector>

#include "kernels/contrastive.h"
#include "tests/kernels/cuda_case.h"

namespace kagami {
namespace {

using Values = std::vector<double>;

/// Rows, their keys and a queue: unit vectors that floats hold.
struct Vectors {
  Values rows, keys, queue;
};

/// `spread` is how far a positive is from its row.
Vectors unit_vectors(const ContrastiveShape& shape, double spread, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> distribution;
  const std::size_t dim = static_cast<std::size_t>(shape.dim);
  const auto append = [&](Values& to, const double* near) {
    double size = 0;
    for (std::size_t k = 0; k < dim; ++k) {
      to.push_back(near ? near[k] + spread * distribution(generator) : distribution(generator));
      size += to.back() * to.back();
    }
    for (std::size_t k = to.size() - dim; k < to.size(); ++k) to[k] = static_cast<float>(to[k] / std::sqrt(size));
  };
  Vectors v;
  const bool views = shape.pairing == Pairing::views;
  const std::size_t rows = static_cast<std::size_t>(views ? shape.rows / 2 : shape.rows);
  for (std::size_t i = 0; i < rows; ++i) append(v.rows, nullptr);
  for (std::size_t i = 0; i < rows; ++i) append(v.keys, &v.rows[i * dim]);
  for (int i = 0; i < shape.queue; ++i) append(v.queue, nullptr);
  if (views) {
    v.rows.insert(v.rows.end(), v.keys.begin(), v.keys.end());
    v.keys = v.rows;
  }
  return v;
}

struct Results {
  Values log_sums, losses, correct, d_rows, d_keys;
};

/// Both passes; T* of vectors and results are the device's.
template <class D, class T>
void run(D device, const ContrastiveShape& shape, const T* rows, const Columns<T>& columns, T* log_sums, T* losses,
         T* correct, T* d_rows, T* d_keys) {
  contrastive_forward<T>(device, shape, rows, columns, log_sums, losses, correct);
  const bool views = shape.pairing == Pairing::views;
  contrastive_backward<T>(device, shape, rows, columns, log_sums, views ? log_sums : nullptr, d_rows);
  if (!views) contrastive_backward<T>(device, shape.transposed(), columns.keys, {rows}, nullptr, log_sums, d_keys);
}

Results on_cpu(const ContrastiveShape& shape, const Vectors& v) {
  Arena arena;
  const std::size_t rows = static_cast<std::size_t>(shape.rows);
  Results r{Values(rows), Values(rows), Values(rows), Values(v.rows.size()), Values(v.keys.size())};
  run<Cpu, double>(Cpu{&arena}, shape, v.rows.data(), {v.keys.data(), v.queue.data()}, r.log_sums.data(),
                   r.losses.data(), r.correct.data(), r.d_rows.data(), r.d_keys.data());
  return r;
}

std::vector<float> floats(const Values& values) { return {values.begin(), values.end()}; }
Values doubles(const OnDevice<float>& memory) {
  const std::vector<float> values = memory.host();
  return {values.begin(), values.end()};
}

Results on_cuda(Cuda device, const ContrastiveShape& shape, const Vectors& v) {
  const std::size_t rows = static_cast<std::size_t>(shape.rows);
  const OnDevice<float> u(floats(v.rows)), keys(floats(v.keys)), queue(floats(v.queue));
  const OnDevice<float> log_sums(rows), losses(rows), correct(rows), d_rows(v.rows.size());
  const OnDevice<float> d_keys(std::vector<float>(v.keys.size(), 0.0F));
  run<Cuda, float>(device, shape, u.data(), {keys.data(), queue.data()}, log_sums.data(), losses.data(), correct.data(),
                   d_rows.data(), d_keys.data());
  return {doubles(log_sums), doubles(losses), doubles(correct), doubles(d_rows), doubles(d_keys)};
}

double distance(const Values& got, const Values& want) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += std::pow(got.at(i) - want[i], 2);
    size += want[i] * want[i];
  }
  return std::sqrt(difference) / (size > 0 ? std::sqrt(size) : 1);
}

void check_case(const ContrastiveShape& shape, double spread, double tolerance) {
  SCOPED_TRACE(testing::Message() << shape.rows << " rows, queue of " << shape.queue << ", dim " << shape.dim
                                  << ", temperature " << shape.temperature << ", pairing "
                                  << static_cast<int>(shape.pairing));
  const Vectors v = unit_vectors(shape, spread, static_cast<unsigned>(shape.rows));
  const Results want = on_cpu(shape, v), got = on_cuda(test_cuda(), shape, v);
  EXPECT_TRUE(distance(got.log_sums, want.log_sums) <= tolerance) << distance(got.log_sums, want.log_sums);
  EXPECT_TRUE(distance(got.losses, want.losses) <= tolerance) << distance(got.losses, want.losses);
  EXPECT_TRUE(distance(got.d_rows, want.d_rows) <= tolerance) << distance(got.d_rows, want.d_rows);
  EXPECT_TRUE(distance(got.d_keys, want.d_keys) <= tolerance) << distance(got.d_keys, want.d_keys);
  EXPECT_EQ(got.correct, want.correct);
}

TEST(ContrastiveCuda, TheRowsAreTheKeys) {
  under_every_schedule([] {
    check_case({4, 0, 3, 0.5, Pairing::views}, 1, 1e-6);
    check_case({64, 0, 32, 0.5, Pairing::views}, 1, 1e-6);
    check_case({70, 0, 40, 0.1, Pairing::views}, 0.5, 2e-6);
    check_case({130, 0, 131, 0.5, Pairing::views}, 1, 1e-6);  // three shares of columns, two tiles of components
    check_case({66, 3, 8, 0.5, Pairing::views}, 1, 1e-6);
  });
}

TEST(ContrastiveCuda, TheOtherKeysAreNegatives) {
  under_every_schedule([] {
    check_case({1, 1, 1, 0.5, Pairing::batch}, 1, 1e-5);  // all but cancels
    check_case({70, 0, 40, 0.1, Pairing::batch}, 0.5, 2e-6);
    check_case({65, 67, 33, 0.2, Pairing::batch}, 0.5, 2e-6);
  });
}

TEST(ContrastiveCuda, TheOtherKeysAreNothing) {
  under_every_schedule([] {
    check_case({3, 1, 5, 0.5, Pairing::own_key}, 1, 1e-6);
    check_case({70, 64, 40, 0.1, Pairing::own_key}, 0.5, 2e-6);
    check_case({66, 67, 131, 0.2, Pairing::own_key}, 0.5, 2e-6);
  });
}

TEST(ContrastiveCuda, LowTemperatures) {
  for (const Pairing pairing : {Pairing::views, Pairing::batch, Pairing::own_key})
    for (const double spread : {0.3, 2.0}) check_case({90, 75, 24, 0.01, pairing}, spread, 2e-5);
}

/// Without negatives a row's log-sum is the logit of its positive: its error beside a plain sum of floats.
TEST(ContrastiveCuda, LogitsAreAsPreciseAsFloats) {
  const ContrastiveShape shape{256, 0, 128, 0.01, Pairing::own_key};
  const Vectors v = unit_vectors(shape, 0.3, 6);
  const Values want = on_cpu(shape, v).log_sums, got = on_cuda(test_cuda(), shape, v).log_sums;
  Values plain;
  for (std::size_t i = 0; i < want.size(); ++i) {
    float sum = 0;
    for (std::size_t k = i * 128; k < (i + 1) * 128; ++k)
      sum = std::fma(static_cast<float>(v.rows[k]), static_cast<float>(v.keys[k]), sum);
    plain.push_back(sum * 100.0F);
  }
  EXPECT_TRUE(distance(got, want) <= 2 * distance(plain, want))
      << distance(got, want) << ", plain floats " << distance(plain, want);
}

TEST(ContrastiveCuda, MoreTilesThanShares) {
  check_case({70, 9000, 8, 0.2, Pairing::own_key}, 0.5, 3e-6);  // 142 tiles of columns: 71 shares of two
}

TEST(ContrastiveCuda, WithoutNegativesThereIsNoLoss) {
  for (const ContrastiveShape& shape :
       {ContrastiveShape{2, 0, 5, 0.1, Pairing::views}, ContrastiveShape{70, 0, 5, 0.1, Pairing::own_key}}) {
    const Results got = on_cuda(test_cuda(), shape, unit_vectors(shape, 1, 3));
    const std::size_t rows = static_cast<std::size_t>(shape.rows);
    EXPECT_EQ(got.losses, Values(rows, 0));
    EXPECT_EQ(got.correct, Values(rows, 1));
    for (const Values* gradient : {&got.d_rows, &got.d_keys})
      for (const double g : *gradient) EXPECT_EQ(g, 0);
  }
}

TEST(ContrastiveCuda, EqualVectorsAreNotCorrect) {
  for (const Pairing pairing : {Pairing::views, Pairing::batch, Pairing::own_key}) {
    const ContrastiveShape shape{66, 65, 40, 0.5, pairing};
    Vectors v = unit_vectors(shape, 1, 4);
    const Values one(v.rows.begin(), v.rows.begin() + 40);
    for (Values* all : {&v.rows, &v.keys, &v.queue})
      for (std::size_t i = 0; i < all->size(); ++i) (*all)[i] = one[i % 40];
    const Results got = on_cuda(test_cuda(), shape, v);
    EXPECT_EQ(got.correct, Values(66, 0.0));
    const int met = pairing == Pairing::views ? 130 : pairing == Pairing::batch ? 131 : 66;
    for (const double loss : got.losses) EXPECT_NEAR(loss, std::log(met), 1e-5);
  }
}

TEST(ContrastiveCuda, NaNIsNotHidden) {
  const ContrastiveShape shape{3, 65, 8, 0.5, Pairing::own_key};
  for (const std::size_t bad : {0U, 63U, 64U}) {  // the last is alone in its tile
    Vectors v = unit_vectors(shape, 1, 5);
    v.queue[bad * 8 + 3] = NAN;
    for (const double loss : on_cuda(test_cuda(), shape, v).losses) EXPECT_TRUE(std::isnan(loss)) << bad;
  }
  Vectors v = unit_vectors(shape, 1, 5);
  v.keys[8] = NAN;  // nothing to the others
  const Results got = on_cuda(test_cuda(), shape, v);
  EXPECT_TRUE(std::isnan(got.losses[1]) && std::isfinite(got.losses[0]) && std::isfinite(got.losses[2]));
}

TEST(ContrastiveCuda, SameBitsOnEveryNumberOfMultiprocessors) {
  for (const Pairing pairing : {Pairing::views, Pairing::batch, Pairing::own_key}) {
    const ContrastiveShape shape{70, 66, 16, 0.1, pairing};
    const Vectors v = unit_vectors(shape, 0.5, 5);
    Cuda device = test_cuda();
    const Results first = on_cuda(device, shape, v);
    for (const int multiprocessors : {1, 7, 132}) {
      device.multiprocessors = multiprocessors;
      const Results again = on_cuda(device, shape, v);
      EXPECT_EQ(first.log_sums, again.log_sums);
      EXPECT_EQ(first.d_rows, again.d_rows);
      EXPECT_EQ(first.d_keys, again.d_keys);
    }
  }
}

}  // namespace
}  // namespace kagami
#endif
