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
  return views(order_.data() + step * batch_, batch_, static_cast<std::uint32_t>(epoch));
}

Views Feed::views(const std::int64_t* images, std::int64_t count, std::uint32_t epoch) const {
  std::vector<SourceImage> sources;
  std::vector<std::int32_t> ids, labels;
  for (std::int64_t i = 0; i < count; ++i) {
    sources.push_back(source_image(set_, images[i]));
    ids.push_back(static_cast<std::int32_t>(images[i]));
    if (set_.labelled()) labels.push_back(set_.labels[static_cast<std::size_t>(images[i])]);
  }
  const std::int64_t size = policies_[0].size;
  const Tensor all = Tensor::empty({2 * count, size, size, 3}, DType::f32, Device::cpu());
  for (std::uint32_t view = 0; view < 2; ++view)
    augment(all.device().as_cpu(), policies_[view], {.seed = seed_, .epoch = epoch, .view = view}, sources.data(),
            count, all.data<float>() + view * count * size * size * 3);
  Views views = views_of(device_.is_cpu() ? all : all.to(device_), 2);
  views.sample_ids = Tensor::from(ids, {count}, device_);
  if (!labels.empty()) views.labels = Tensor::from(labels, {count}, device_);
  return views;
}

}  // namespace kagami
