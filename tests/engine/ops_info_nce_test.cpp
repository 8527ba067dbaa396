#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "engine/ops.h"
#include "tests/each_isa.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::check_large;
using test::check_op;
using test::random_tensor;
using test::relative_error;

/// Unit rows.
Tensor unit(const Shape& shape, DType dtype, unsigned seed) {
  return l2_normalize(random_tensor(shape, DType::f64, seed)).to(dtype);
}

/// Its definition, with its matrix of logits: the class of row i is its positive.
struct Plain {
  Tensor loss;
  double accuracy;
};
Plain plain_info_nce(const Tensor& q, const Tensor& k, const Tensor& queue, double temperature, OtherKeys others) {
  const std::int64_t n = q.shape(0);
  const bool all = others == OtherKeys::negatives;
  std::vector<Tensor> parts{all ? matmul(q, k, false, true) : sum(mul(q, k), 1, true)};
  if (queue && queue.shape(0) > 0) parts.push_back(matmul(q, queue, false, true));
  const Tensor logits = scale(concat(parts, 1), 1 / temperature);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(n), 0);
  if (all) std::iota(labels.begin(), labels.end(), 0);
  double correct = 0;
  const std::vector<double> s = logits.to_host<double>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t columns = s.size() / labels.size(), own = static_cast<std::size_t>(labels[i]);
    bool best = true;
    for (std::size_t j = 0; j < columns; ++j) best = best && (j == own || s[i * columns + j] < s[i * columns + own]);
    correct += best;
  }
  return {cross_entropy(logits, Tensor::from(labels, {n}, Device::cpu())), correct / static_cast<double>(n)};
}

TEST(OpsInfoNce, Gradients) {
  for (const OtherKeys others : {OtherKeys::ignored, OtherKeys::negatives})
    for (const std::int64_t queued : {0, 7}) {
      test::OpCase c{"info_nce", {{5, 4}, {5, 4}, {queued, 4}}, [=](const auto& x) {
                       return info_nce(l2_normalize(x[0]), l2_normalize(x[1]), x[2], 0.3, others).loss;
                     }};
      c.no_grad = {2};
      c.f32_tolerance = 1e-4;
      if (queued == 0 && others == OtherKeys::ignored) continue;  // no loss at all
      check_op(c);
    }
  check_op({"info_nce of queries", {{5, 4}}, [](const auto& x) {
              const Tensor keys = cast(unit({5, 4}, DType::f64, 7), x[0].dtype()).to(x[0].device());
              return scale(info_nce(x[0], keys, {}, 0.5, OtherKeys::negatives).loss, -3);
            }});
  check_op({"info_nce of what is its own key", {{4, 3}}, [](const auto& x) {
              return info_nce(x[0], x[0], {}, 2, OtherKeys::negatives).loss;
            }});
}

TEST(OpsInfoNce, GoldenValues) {
  constexpr int n = 6, d = 5, queued = 7;
  std::vector<double> a, b, queue;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < d; ++j) {
      a.push_back(std::sin(1 + 3 * i + 7 * j + 2 * i * j));
      b.push_back(a.back() + 0.3 * std::cos(2 + 5 * i + 3 * j + i * j));
    }
  for (int k = 0; k < queued; ++k)
    for (int j = 0; j < d; ++j) queue.push_back(std::cos(1 + 2 * k + 3 * j + k * j));
  const Device cpu = Device::cpu();
  Tensor z = Tensor::from(a, {n, d}, cpu).requires_grad();
  const Tensor keys = l2_normalize(Tensor::from(b, {n, d}, cpu)),
               negatives = l2_normalize(Tensor::from(queue, {queued, d}, cpu));
  const Tensor loss = info_nce(l2_normalize(z), keys, negatives, 0.2).loss;
  EXPECT_NEAR(loss.item(), 0.457114134, 6e-10);
  backward(loss);
  const std::vector<double> g = z.grad().to_host<double>();
  EXPECT_NEAR(std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0)), 0.206541561, 6e-10);
  EXPECT_NEAR(g.front(), 0.009122135, 6e-10);
  EXPECT_NEAR(g.back(), 0.014785548, 6e-10);
}

TEST(OpsInfoNce, IsCrossEntropyOfTheMatrix) {
  struct Sizes {
    std::int64_t n, m, dim;
  };
  for (const OtherKeys others : {OtherKeys::ignored, OtherKeys::negatives})
    for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{3, 5, 2}, Sizes{64, 512, 16}, Sizes{67, 600, 9}, Sizes{130, 0, 16},
                           Sizes{600, 1030, 8}})
      for (const double temperature : {0.01, 0.2, 10.0}) {
        SCOPED_TRACE(testing::Message() << s.n << ' ' << s.m << ' ' << s.dim << ' ' << temperature << ' '
                                        << (others == OtherKeys::negatives));
        Tensor q = unit({s.n, s.dim}, DType::f64, 1).requires_grad();
        Tensor k = l2_normalize(add(q.detach(), random_tensor({s.n, s.dim}, DType::f64, 2))).requires_grad();
        const Tensor queue = unit({s.m, s.dim}, DType::f64, 3);
        const Plain plain = plain_info_nce(q, k, queue, temperature, others);
        backward(plain.loss);
        const Tensor dq = q.grad().clone(), dk = k.grad().clone();
        q.grad().fill(0), k.grad().fill(0);
        const ContrastiveLoss ours = info_nce(q, k, queue, temperature, others);
        backward(ours.loss);
        const double expected = plain.loss.item();
        EXPECT_NEAR(ours.loss.item(), expected, 1e-12 * (1 + expected));
        if (s.dim > 1) {  // of +-1 every comparison is a tie
          EXPECT_NEAR(ours.accuracy.item(), plain.accuracy, 1e-12);
        }
        EXPECT_LE(relative_error(q.grad(), dq), 1e-11);
        EXPECT_LE(relative_error(k.grad(), dk), 1e-11);
        for (const Device& device : test::every_device()) {
          if (!device.is_cpu() && s.n > 200) continue;  // slow where CUDA is emulated
          const ContrastiveLoss single = info_nce(q.to(DType::f32).to(device), k.to(DType::f32).to(device),
                                                  queue.to(DType::f32).to(device), temperature, others);
          EXPECT_NEAR(single.loss.item(), expected, 2e-6 * (1 + expected + 1 / temperature)) << device;
        }
      }
}

TEST(OpsInfoNce, LowTemperaturesInF32) {
  const Tensor q = unit({300, 16}, DType::f64, 1), k = unit({300, 16}, DType::f64, 2),
               queue = unit({700, 16}, DType::f64, 3);
  const auto gradients = [&](DType dtype, Device device) {
    Tensor a = q.to(dtype).to(device).requires_grad(), b = k.to(dtype).to(device).requires_grad();
    backward(info_nce(a, b, queue.to(dtype).to(device), 0.01).loss);
    return std::vector<Tensor>{a.grad(), b.grad()};
  };
  const std::vector<Tensor> exact = gradients(DType::f64, Device::cpu());
  for (const Device& device : test::every_device())
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_LE(relative_error(gradients(DType::f32, device)[i], exact[i]), 1e-4) << device << i;
  // Opposite keys: the positive's similarity is the smallest there is, 2 / temperature below the largest.
  const Tensor ones = Tensor::full({4, 8}, 0.5 / std::sqrt(2), DType::f32, Device::cpu());
  for (const Device& device : test::every_device())
    EXPECT_NEAR(info_nce(ones.to(device), neg(ones).to(device), ones.rows(0, 3).to(device), 0.01).loss.item(),
                200 + std::log(3), 1e-3);
}

TEST(OpsInfoNce, EqualVectorsGiveLogOfThemAllAndNoAccuracy) {
  for (const Device& device : test::every_device())
    for (const int queued : {1, 7, 600}) {
      const Tensor one = l2_normalize(Tensor::full({20, 8}, 0.7, DType::f32, device)),
                   queue = l2_normalize(Tensor::full({queued, 8}, 0.7, DType::f32, device));
      const ContrastiveLoss moco = info_nce(one, one, queue, 0.1),
                            both = info_nce(one, one, queue, 0.1, OtherKeys::negatives);
      EXPECT_NEAR(moco.loss.item(), std::log(queued + 1), 1e-5);
      EXPECT_NEAR(both.loss.item(), std::log(queued + 20), 1e-5);
      EXPECT_EQ(moco.accuracy.item(), 0);
      EXPECT_EQ(both.accuracy.item(), 0);
    }
}

TEST(OpsInfoNce, WithoutNegativesThereIsNoLoss) {
  Tensor q = unit({5, 4}, DType::f64, 1).requires_grad();
  const ContrastiveLoss result = info_nce(q, unit({5, 4}, DType::f64, 2), {}, 0.1);
  EXPECT_EQ(result.loss.item(), 0);
  EXPECT_EQ(result.accuracy.item(), 1);
  backward(result.loss);
  for (const double g : q.grad().to_host<double>()) EXPECT_EQ(g, 0);
}

TEST(OpsInfoNce, DetachedKeysAndTheQueueGetNoGradient) {
  Tensor q = unit({5, 4}, DType::f32, 1).requires_grad(), k = unit({5, 4}, DType::f32, 2).requires_grad();
  Tensor queue = unit({6, 4}, DType::f32, 3).requires_grad();
  const ContrastiveLoss result = info_nce(q, k.detach(), queue, 0.1);
  EXPECT_FALSE(result.accuracy.wants_grad());
  backward(result.loss);
  EXPECT_TRUE(q.grad());
  EXPECT_FALSE(k.grad());
  EXPECT_FALSE(queue.grad());
}

TEST(OpsInfoNce, TheQueueIsWrittenAfterBackward) {
  const Tensor q = unit({5, 4}, DType::f32, 1).requires_grad(), k = unit({5, 4}, DType::f32, 2);
  const Tensor queue = unit({6, 4}, DType::f32, 3);
  const ContrastiveLoss early = info_nce(q, k, queue, 0.1);
  queue.rows(0, 5).copy_from(k);
  EXPECT_THROW(backward(early.loss), InputError);
  const ContrastiveLoss late = info_nce(q, k, queue, 0.1);
  backward(late.loss);
  queue.rows(0, 5).copy_from(k);
  EXPECT_TRUE(q.grad());
}

TEST(OpsInfoNce, SameBitsWithAnyThreadsAndAccurateInEveryInstructionSet) {
  test::OpCase c{"info_nce", {{150, 33}, {150, 33}, {700, 33}}, [](const auto& x) {
                   return add(info_nce(l2_normalize(x[0]), l2_normalize(x[1]), x[2], 0.2).loss,
                              info_nce(l2_normalize(x[1]), l2_normalize(x[0]), x[2], 1, OtherKeys::negatives).loss);
                 }};
  c.no_grad = {2};
  test::for_each_isa([&] { check_large(c); });
}

TEST(OpsInfoNce, KeepsNoMatrixOfSimilarities) {
  constexpr std::int64_t rows = 256, queued = 20000;
  Tensor q = unit({rows, 8}, DType::f32, 1).requires_grad();
  const Tensor k = unit({rows, 8}, DType::f32, 2), queue = unit({queued, 8}, DType::f32, 3);
  Arena& memory = Device::cpu().memory();
  memory.reset_peak();
  const std::size_t before = memory.stats().live;
  backward(info_nce(q, k, queue, 0.5).loss);
  const std::size_t used = memory.stats().peak - before;
  EXPECT_GT(used, 0U);
  EXPECT_LT(used, rows * queued * sizeof(float) / 8);
}

TEST(OpsInfoNce, NaNIsNotHidden) {
  for (const Device& device : test::every_device())
    for (const std::int64_t queued : {1, 513}) {  // in the last of the queue's vectors, alone in its tile
      const Tensor q = unit({3, 4}, DType::f32, 1), queue = unit({queued, 4}, DType::f32, 3);
      queue.data<float>()[4 * queued - 1] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(info_nce(q.to(device), q.to(device), queue.to(device), 0.5).loss.item())) << device;
    }
}

TEST(OpsInfoNce, ErrorsSayWhatIsWrong) {
  const Tensor q = unit({4, 3}, DType::f32, 1), queue = unit({7, 3}, DType::f32, 2);
  for (const double temperature : {0.0, -1.0, std::nan("")})
    EXPECT_THROW(info_nce(q, q, queue, temperature), InputError);
  EXPECT_THROW(info_nce(Tensor(), q, queue, 0.5), InputError);
  EXPECT_THROW(info_nce(q, Tensor(), queue, 0.5), InputError);
  EXPECT_THROW(info_nce(q, q, queue.to(DType::f64), 0.5), InputError);
  EXPECT_THROW(info_nce(q, q, queue.view({21}), 0.5), InputError);
  try {
    info_nce(q, q.rows(0, 3), queue, 0.5);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(),
                 "info_nce: needs queries [n, dim], as many keys and a queue [m, dim] or none; queries: [4,3] f32 cpu, "
                 "keys: [3,3] f32 cpu, queue: [7,3] f32 cpu");
  }
}

}  // namespace
}  // namespace kagami
