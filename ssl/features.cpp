#include "ssl/features.h"

#include <algorithm>
#include <cstring>

#include "engine/autograd.h"
#include "ssl/source_images.h"

namespace kagami {

Tensor features_of(const ImageSet& set, const EvaluationTransform& transform, const Encode& encode, Device device,
                   int batch) {
  check(set.size() > 0, "features: the set has no images");
  check(batch >= 1, "features: batch ", batch, " is below 1");
  const NoGrad no_grad;
  Tensor all;
  for (std::int64_t first = 0; first < set.size(); first += batch) {
    const std::int64_t count = std::min<std::int64_t>(batch, set.size() - first);
    const Tensor images = Tensor::empty({count, transform.size, transform.size, 3}, DType::f32, Device::cpu());
    std::vector<SourceImage> sources;
    for (std::int64_t i = first; i < first + count; ++i) sources.push_back(source_image(set, i));
    evaluation_view(images.device().as_cpu(), transform, sources.data(), count, images.data<float>());
    const Tensor h = encode(device.is_cpu() ? images : images.to(device));
    check(h.rank() == 2 && h.shape(0) == count, "features: the encoder gave ", describe(h), " for ", count, " images");
    if (!all) all = Tensor::empty({set.size(), h.shape(1)}, DType::f32, Device::cpu());
    all.rows(first, count).copy_from(h.detach());
  }
  return all;
}

Tensor pixels_of(const ImageSet& set, const EvaluationTransform& transform, Device device) {
  return features_of(
      set, transform,
      [](const Tensor& images) {
        return images.view({images.shape(0), images.numel() / images.shape(0)});
      },
      device);
}

}  // namespace kagami
