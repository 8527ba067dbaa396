#include "ssl/feed.h"

#include "kernels/philox.h"
#include "ssl/source_images.h"

namespace kagami {

Feed::Feed(const ImageSet& set, const PretrainConfig& config, Device device)
    : set_(set),
      policies_{config.view_policies[0], config.view_policies[1]},
      seed_(config.seed),
      batch_(config.batch),
      device_(device) {
  check(set.size() > 0, "data: there are no images to train on");
  check(batch_ <= set.size(), "batch: ", batch_, " images do not fit a set of ", set.size(), "; choose at most ",
        set.size());
}

Views Feed::batch(std::int64_t epoch, std::int64_t step) {
  if (epoch != order_epoch_) {
    order_.resize(static_cast<std::size_t>(set_.size()));
    permutation(Philox(seed_, Purpose::shuffle, 0, 0, static_cast<std::uint32_t>(epoch)), order_.data(), set_.size());
    order_epoch_ = epoch;
  }
  std::vector<SourceImage> sources;
  std::vector<std::int32_t> ids, labels;
  for (std::int64_t i = step * batch_; i < (step + 1) * batch_; ++i) {
    const std::int64_t index = order_[static_cast<std::size_t>(i)];
    sources.push_back(source_image(set_, index));
    ids.push_back(static_cast<std::int32_t>(index));
    if (set_.labelled()) labels.push_back(set_.labels[static_cast<std::size_t>(index)]);
  }
  const std::int64_t size = policies_[0].size;
  const Tensor all = Tensor::empty({2 * batch_, size, size, 3}, DType::f32, device_);
  for (std::uint32_t view = 0; view < 2; ++view)
    augment(device_.as_cpu(), policies_[view],
            {.seed = seed_, .epoch = static_cast<std::uint32_t>(epoch), .view = view}, sources.data(), batch_,
            all.data<float>() + view * batch_ * size * size * 3);
  Views views = views_of(all, 2);
  views.sample_ids = Tensor::from(ids, {batch_}, device_);
  if (!labels.empty()) views.labels = Tensor::from(labels, {batch_}, device_);
  return views;
}

}  // namespace kagami
