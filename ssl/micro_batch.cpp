#include "ssl/micro_batch.h"

#include "engine/autograd.h"
#include "engine/error.h"
#include "engine/ops.h"

namespace kagami {
namespace {

using RunningStatistics = ContrastiveMethod::RunningStatistics;

/// Rows [first, first + count) of every view's part of [V*N, ...] as [V*count, ...].
Tensor part_of(const Tensor& all, std::int64_t views, std::int64_t first, std::int64_t count) {
  Shape shape = all.shape();
  shape[0] = views * count;
  const Tensor part = Tensor::empty(shape, all.dtype(), all.device());
  const std::int64_t images = all.shape(0) / views;
  for (std::int64_t v = 0; v < views; ++v) part.rows(v * count, count).copy_from(all.rows(v * images + first, count));
  return part;
}

/// The opposite: `part` becomes those rows of `all`.
void put_part(const Tensor& all, std::int64_t views, std::int64_t first, const Tensor& part) {
  const std::int64_t images = all.shape(0) / views, count = part.shape(0) / views;
  for (std::int64_t v = 0; v < views; ++v) all.rows(v * images + first, count).copy_from(part.rows(v * count, count));
}

}  // namespace

Tensor backward_in_parts(ContrastiveMethod& method, const Views& views, std::int64_t images) {
  const int count = static_cast<int>(views.images.size());
  const std::int64_t all_images = views.all.shape(0) / count;
  check(images >= 1 && all_images % images == 0, "micro-batch: ", images, " images do not divide a batch of ",
        all_images);
  const auto embed = [&](std::int64_t first, RunningStatistics running) {
    return method.embed(views_of(part_of(views.all, count, first, images), count), running);
  };
  Tensor z;
  {
    const NoGrad no_grad;
    for (std::int64_t first = 0; first < all_images; first += images) {
      const Tensor part = embed(first, RunningStatistics::stay);
      if (!z) z = Tensor::empty({views.all.shape(0), part.shape(1)}, part.dtype(), part.device());
      put_part(z, count, first, part);
    }
  }
  Tensor leaf = widen(z);  // a gradient of bf16 values is gathered in f32
  leaf.requires_grad();
  const Tensor loss = method.loss_of(leaf);
  backward(loss);
  for (std::int64_t first = 0; first < all_images; first += images)
    backward(embed(first, RunningStatistics::move), cast(part_of(leaf.grad(), count, first, images), z.dtype()));
  return loss.detach();
}

}  // namespace kagami
