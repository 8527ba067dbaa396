#include "engine/data/image_set.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <map>
#include <numeric>

#include "engine/checksum.h"
#include "engine/error.h"
#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"

namespace kagami {
namespace {

constexpr int channels = 3;

/// Positions of each label's images among `count`; one group of all where there are no labels.
std::map<std::int32_t, std::vector<std::int64_t>> groups_of(std::span<const std::int32_t> labels, std::int64_t count) {
  std::map<std::int32_t, std::vector<std::int64_t>> groups;
  for (std::int64_t i = 0; i < count; ++i) groups[labels.empty() ? 0 : labels[i]].push_back(i);
  return groups;
}

/// The values in an order drawn by the seed.
std::vector<std::int64_t> shuffled(const std::vector<std::int64_t>& values, std::uint64_t seed, std::int32_t stream) {
  std::vector<std::int64_t> order(values.size());
  const Philox random(seed, Purpose::split, 0, static_cast<std::uint32_t>(stream), 0);
  permutation(random, order.data(), static_cast<std::int64_t>(order.size()));
  for (std::int64_t& i : order) i = values[i];
  return order;
}

}  // namespace

std::span<const std::uint8_t> ImageSet::image(std::int64_t index) const {
  const auto bytes = static_cast<std::size_t>(heights[index]) * widths[index] * channels;
  return pixels.subspan(static_cast<std::size_t>(offsets[index]), bytes);
}

std::int64_t ImageSet::image_bytes() const {
  std::int64_t bytes = 0;
  for (std::int64_t i = 0; i < size(); ++i) bytes += std::int64_t{heights[i]} * widths[i] * channels;
  return bytes;
}

int ImageSet::max_side() const {
  std::int32_t side = 0;
  for (std::int64_t i = 0; i < size(); ++i) side = std::max({side, heights[i], widths[i]});
  return side;
}

std::string ImageSet::fingerprint() const {
  Checksum sum;
  for (const std::vector<std::int32_t>* column : {&heights, &widths, &labels})
    sum.add(column->data(), column->size() * sizeof(std::int32_t));
  for (const std::string& source : sources) sum.add(source).add(std::string_view("\0", 1));
  std::ostringstream hex;
  hex << size() << '-' << std::hex << std::setw(16) << std::setfill('0') << sum.value();
  return hex.str();
}

const ImageSet& Dataset::labelled_split(bool test_split, const std::string& purpose) const {
  const ImageSet& set = test_split ? test : train;
  const char* name = test_split ? "test" : "train";
  check(set.size() > 0, purpose, ": data '", this->name, "' has no ", name,
        " images; give folders train/ and test/ (or val/), or --val-fraction");
  check(set.labelled(), purpose, ": the ", name, " images of '", this->name,
        "' have no labels; put them into one folder per class");
  return set;
}

void ImageSetBuilder::reserve(std::int64_t images, std::int64_t bytes) {
  const auto count = static_cast<std::size_t>(images);
  set_.offsets.reserve(count);
  set_.heights.reserve(count);
  set_.widths.reserve(count);
  set_.sources.reserve(count);
  pixels_->reserve(static_cast<std::size_t>(bytes));
}

void ImageSetBuilder::add(std::span<const std::uint8_t> pixels, int height, int width, std::string source) {
  set_.offsets.push_back(static_cast<std::int64_t>(pixels_->size()));
  set_.heights.push_back(height);
  set_.widths.push_back(width);
  set_.sources.push_back(std::move(source));
  pixels_->insert(pixels_->end(), pixels.begin(), pixels.end());
}

ImageSet ImageSetBuilder::finish() {
  set_.pixels = *pixels_;
  set_.memory = std::move(pixels_);
  return std::move(set_);
}

ImageSet select(const ImageSet& set, std::span<const std::int64_t> indices) {
  ImageSet chosen;
  chosen.pixels = set.pixels;
  chosen.memory = set.memory;
  for (const std::int64_t i : indices) {
    check(i >= 0 && i < set.size(), "select: image ", i, " of a set of ", set.size());
    chosen.offsets.push_back(set.offsets[i]);
    chosen.heights.push_back(set.heights[i]);
    chosen.widths.push_back(set.widths[i]);
    chosen.sources.push_back(set.sources[i]);
    if (set.labelled()) chosen.labels.push_back(set.labels[i]);
  }
  return chosen;
}

ImageSet first_per_class(const ImageSet& set, std::int64_t per_class) {
  check(set.labelled(), "first_per_class: the images have no labels");
  std::vector<std::int64_t> chosen;
  for (const auto& [label, members] : groups_of(set.labels, set.size())) {
    check(per_class >= 0 && static_cast<std::int64_t>(members.size()) >= per_class, "cannot take ", per_class,
          " images of each class: class ", label, " has ", members.size());
    chosen.insert(chosen.end(), members.begin(), members.begin() + per_class);
  }
  std::sort(chosen.begin(), chosen.end());
  return select(set, chosen);
}

ImageSet random_subset(const ImageSet& set, std::int64_t count, std::uint64_t seed) {
  check(count >= 0 && count <= set.size(), "cannot take ", count, " images: the set has ", set.size());
  auto groups = groups_of(set.labels, set.size());
  for (auto& [label, members] : groups) members = shuffled(members, seed, label);
  std::vector<std::int64_t> chosen;
  // One of each class in turn; classes that have run out are passed over.
  for (std::size_t round = 0; static_cast<std::int64_t>(chosen.size()) < count; ++round) {
    for (const auto& [label, members] : groups) {
      if (round < members.size() && static_cast<std::int64_t>(chosen.size()) < count) chosen.push_back(members[round]);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return select(set, chosen);
}

std::vector<bool> held_out(std::span<const std::int32_t> labels, std::span<const std::string> sources,
                           double fraction) {
  check(fraction >= 0 && fraction < 1, "the fraction of images held out must be in [0, 1), not ", fraction);
  std::vector<bool> held(sources.size());
  for (const auto& [label, members] : groups_of(labels, static_cast<std::int64_t>(sources.size()))) {
    std::vector<std::pair<std::uint64_t, std::int64_t>> ranked;
    for (const std::int64_t i : members) ranked.emplace_back(Checksum().add(sources[i]).value(), i);
    std::sort(ranked.begin(), ranked.end());
    const auto size = static_cast<std::int64_t>(members.size());
    const std::int64_t least = fraction > 0 && size > 1 ? 1 : 0, most = size - 1;
    const std::int64_t count =
        std::clamp<std::int64_t>(std::llround(fraction * static_cast<double>(size)), least, most);
    for (std::int64_t i = 0; i < count; ++i) held[ranked[i].second] = true;
  }
  return held;
}

TrainTest split(const ImageSet& set, double fraction) {
  const std::vector<bool> held = held_out(set.labels, set.sources, fraction);
  std::vector<std::int64_t> train, test;
  for (std::int64_t i = 0; i < set.size(); ++i) (held[i] ? test : train).push_back(i);
  return {select(set, train), select(set, test)};
}

ImageSet shrink(const ImageSet& set, int max_side) {
  if (max_side <= 0 || set.max_side() <= max_side) return set;
  constexpr std::int64_t block = 1024;  // shrunk in parallel, then appended in order
  ImageSetBuilder builder;
  for (std::int64_t start = 0; start < set.size(); start += block) {
    std::vector<Image> images(static_cast<std::size_t>(std::min(block, set.size() - start)));
    cpu::parallel_for(static_cast<std::int64_t>(images.size()), 8, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const auto pixels = set.image(start + i);
        images[i] =
            shrink(Image{set.heights[start + i], set.widths[start + i], {pixels.begin(), pixels.end()}}, max_side);
      }
    });
    for (std::size_t i = 0; i < images.size(); ++i) builder.add(images[i], set.sources[start + i]);
  }
  ImageSet small = builder.finish();
  small.labels = set.labels;
  return small;
}

}  // namespace kagami
