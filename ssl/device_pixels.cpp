#include "ssl/device_pixels.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "ssl/source_images.h"

namespace kagami {
namespace {

/// Bytes of the `count` largest images: no batch needs more.
std::size_t largest_batch(const ImageSet& set, std::int64_t count) {
  std::vector<std::size_t> bytes;
  for (std::int64_t i = 0; i < set.size(); ++i) bytes.push_back(set.image(i).size());
  const auto end = bytes.begin() + std::min(count, set.size());
  std::partial_sort(bytes.begin(), end, bytes.end(), std::greater<>());
  return std::accumulate(bytes.begin(), end, std::size_t{0});
}

/// Writes the images one behind the other to `host`, and their places on the device, where `host` will be `there`.
std::size_t gather_pixels(const ImageSet& set, const std::int64_t* images, std::int64_t count, std::uint8_t* host,
                          const std::uint8_t* there, SourceImage* sources) {
  std::size_t at = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto pixels = set.image(images[i]);
    std::copy(pixels.begin(), pixels.end(), host + at);
    sources[i] = source_image(set, images[i]);
    sources[i].pixels = there + at;
    at += pixels.size();
  }
  return at;
}

Tensor sources_on(const std::vector<SourceImage>& sources, Device device) {
  const std::size_t bytes = sources.size() * sizeof(SourceImage);
  const Tensor record = Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::u8, device, MemoryUse::data);
  device.copy_in(record.raw(), sources.data(), bytes);
  return record;
}

}  // namespace

DeviceImages::DeviceImages(const std::vector<SourceImage>& sources, Device device)
    : sources_(sources_on(sources, device)) {}

DeviceImages::DeviceImages(const ImageSet& set, const std::int64_t* images, std::int64_t count, Device device) {
  std::vector<SourceImage> sources(static_cast<std::size_t>(count));
  if (device.is_cpu()) {
    std::transform(images, images + count, sources.begin(), [&](std::int64_t i) { return source_image(set, i); });
  } else {
    std::int64_t bytes = 0;
    for (std::int64_t i = 0; i < count; ++i) bytes += static_cast<std::int64_t>(set.image(images[i]).size());
    const Tensor host = Tensor::empty({bytes}, DType::u8, Device::cpu(), MemoryUse::data);
    pixels_ = Tensor::empty({bytes}, DType::u8, device, MemoryUse::data);
    gather_pixels(set, images, count, host.data<std::uint8_t>(), pixels_.data<std::uint8_t>(), sources.data());
    pixels_.copy_from(host);
  }
  sources_ = sources_on(sources, device);
}

DevicePixels::DevicePixels(const ImageSet& set, Device device, std::int64_t limit, std::int64_t batch)
    : set_(set), device_(device) {
  if (device.is_cpu()) return;
  if (set.image_bytes() <= std::min(limit, static_cast<std::int64_t>(device.memory_bytes() / 2))) {
    upload();
  } else {
    stream_.emplace(device, largest_batch(set, batch));
  }
}

/// Image after image through two pinned slots.
void DevicePixels::upload() {
  constexpr std::size_t slot_bytes = std::size_t{8} << 20;
  resident_ = Tensor::empty({set_.image_bytes()}, DType::u8, device_, MemoryUse::data);
  UploadRing ring(device_, slot_bytes, 2);
  auto* slot = static_cast<std::uint8_t*>(ring.next());
  auto* to = resident_.data<std::uint8_t>();
  std::size_t filled = 0;
  std::int64_t offset = 0;
  const auto send = [&] {
    ring.send(to, filled);
    to += filled;
    filled = 0;
  };
  for (std::int64_t i = 0; i < set_.size(); ++i) {
    auto pixels = set_.image(i);
    offsets_.push_back(offset);
    offset += static_cast<std::int64_t>(pixels.size());
    while (!pixels.empty()) {
      const std::size_t piece = std::min(pixels.size(), slot_bytes - filled);
      std::copy_n(pixels.begin(), piece, slot + filled);
      filled += piece;
      pixels = pixels.subspan(piece);
      if (filled < slot_bytes) continue;
      send();
      slot = static_cast<std::uint8_t*>(ring.next());
    }
  }
  if (filled > 0) send();
  device_.synchronize();
}

void DevicePixels::prepare(const std::int64_t* images, std::int64_t count, SourceImage* sources) {
  if (!stream_) {
    describe(images, count, sources);
    return;
  }
  const std::size_t bytes = gather_pixels(set_, images, count, stream_->host(), stream_->device(), sources);
  stream_->fill(bytes);
  stream_->acquire();
}

void DevicePixels::done() {
  if (stream_) stream_->release();
}

void DevicePixels::describe(const std::int64_t* images, std::int64_t count, SourceImage* sources) const {
  for (std::int64_t i = 0; i < count; ++i) {
    sources[i] = source_image(set_, images[i]);
    if (resident_) sources[i].pixels = resident_.data<std::uint8_t>() + offsets_[static_cast<std::size_t>(images[i])];
  }
}

DeviceImages DevicePixels::images(const std::int64_t* images, std::int64_t count) const {
  if (stream_) return {set_, images, count, device_};
  std::vector<SourceImage> sources(static_cast<std::size_t>(count));
  describe(images, count, sources.data());
  return {sources, device_};
}

}  // namespace kagami
