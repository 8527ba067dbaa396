#include "ssl/features.h"

#include <algorithm>
#include <numeric>

#include "engine/autograd.h"
#include "engine/dispatch.h"
#include "ssl/device_pixels.h"

namespace kagami {
namespace {

/// [count, size, size, 3] of images [first, first + count), made where the network runs.
Tensor evaluation_views(const ImageSet& set, std::int64_t first, std::int64_t count,
                        const EvaluationTransform& transform, Device device) {
  std::vector<std::int64_t> images(static_cast<std::size_t>(count));
  std::iota(images.begin(), images.end(), first);
  const DeviceImages sources(set, images.data(), count, device);
  const Tensor views = Tensor::empty({count, transform.size, transform.size, 3}, DType::f32, device);
  on_device(views, [&](auto where) { evaluation_view(where, transform, sources.data(), count, views.data<float>()); });
  return views;
}

}  // namespace

Tensor features_of(const ImageSet& set, const EvaluationTransform& transform, const Encode& encode, Device device,
                   int batch) {
  check(set.size() > 0, "features: the set has no images");
  check(batch >= 1, "features: batch ", batch, " is below 1");
  const NoGrad no_grad;
  Tensor all;
  for (std::int64_t first = 0; first < set.size(); first += batch) {
    const std::int64_t count = std::min<std::int64_t>(batch, set.size() - first);
    const Tensor h = encode(evaluation_views(set, first, count, transform, device));
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
