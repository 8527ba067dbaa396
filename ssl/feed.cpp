#include "ssl/feed.h"

#include <cstring>

#include "engine/dispatch.h"
#include "kernels/philox.h"

namespace kagami {
namespace {

constexpr std::int64_t words_of_source = sizeof(SourceImage) / sizeof(std::int32_t);
static_assert(sizeof(SourceImage) % sizeof(std::int32_t) == 0);

std::int64_t bytes_of_record(std::int64_t batch) {
  return batch * static_cast<std::int64_t>(sizeof(SourceImage) + 2 * sizeof(std::int32_t));
}

}  // namespace

Feed::Feed(const ImageSet& set, const PretrainConfig& config, Device device)
    : set_(set),
      policies_{config.view_policies[0], config.view_policies[1]},
      seed_(config.seed),
      batch_(config.batch),
      device_(device),
      pixels_(set, device, config.device_data_limit << 20, config.batch),
      upload_(device, static_cast<std::size_t>(bytes_of_record(config.batch))),
      batch_record_(Tensor::empty({(words_of_source + 2) * config.batch}, DType::i32, device, MemoryUse::data)) {
  check(set.size() > 0, "data: there are no images to train on");
  check(batch_ <= set.size(), "batch: ", batch_, " images do not fit a set of ", set.size(), "; give --batch ",
        set.size(), " or less");
}

void Feed::prepare(std::int64_t epoch, std::int64_t step) {
  if (epoch != order_epoch_) {
    order_.resize(static_cast<std::size_t>(set_.size()));
    permutation(Philox(seed_, Purpose::shuffle, 0, 0, static_cast<std::uint32_t>(epoch)), order_.data(), set_.size());
    order_epoch_ = epoch;
  }
  const std::int64_t* images = order_.data() + step * batch_;
  auto* sources = static_cast<SourceImage*>(upload_.next());
  auto* ids = reinterpret_cast<std::int32_t*>(sources + batch_);
  pixels_.prepare(images, batch_, sources);
  for (std::int64_t i = 0; i < batch_; ++i) {
    ids[i] = static_cast<std::int32_t>(images[i]);
    ids[batch_ + i] = set_.labelled() ? set_.labels[static_cast<std::size_t>(images[i])] : -1;
  }
  upload_.send(batch_record_.raw(), static_cast<std::size_t>(bytes_of_record(batch_)));
}

Tensor Feed::empty_views(std::int64_t count) const {
  const std::int64_t size = policies_[0].size;
  return Tensor::empty({2 * count, size, size, 3}, DType::f32, device_);
}

/// Both views of `count` images, which are `first` and so on of the batch.
void Feed::augment_into(const Tensor& all, std::int64_t first, const SourceImage* sources, std::int64_t count,
                        AugmentDraw draw) const {
  const std::int64_t images = all.shape(0) / 2, numbers = all.numel() / all.shape(0);
  for (draw.view = 0; draw.view < 2; ++draw.view)
    on_device(all, [&](auto device) {
      augment(device, policies_[draw.view], draw, sources, count,
              all.data<float>() + (draw.view * images + first) * numbers);
    });
}

Views Feed::views(const StepState& state) const {
  const Tensor all = empty_views(batch_);
  augment_into(all, 0, static_cast<const SourceImage*>(batch_record_.raw()), batch_,
               {.seed = seed_, .step = state.data()});
  Views views = views_of(all, 2);
  views.sample_ids = batch_record_.rows(words_of_source * batch_, batch_);
  if (set_.labelled()) views.labels = batch_record_.rows((words_of_source + 1) * batch_, batch_);
  return views;
}

Views Feed::views(const std::int64_t* images, std::int64_t count, std::uint32_t epoch) const {
  constexpr std::int64_t together = 64;  // whose pixels are on the device at a time
  const Tensor all = empty_views(count);
  for (std::int64_t first = 0; first < count; first += together) {
    const std::int64_t part = std::min(together, count - first);
    const DeviceImages sources = pixels_.images(images + first, part);
    augment_into(all, first, sources.data(), part, {.seed = seed_, .epoch = epoch});
  }
  std::vector<std::int32_t> ids, labels;
  for (std::int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<std::int32_t>(images[i]));
    if (set_.labelled()) labels.push_back(set_.labels[static_cast<std::size_t>(images[i])]);
  }
  Views views = views_of(all, 2);
  views.sample_ids = Tensor::from(ids, {count}, device_);
  if (set_.labelled()) views.labels = Tensor::from(labels, {count}, device_);
  return views;
}

}  // namespace kagami
