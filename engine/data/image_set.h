#pragma once
// Images in memory, of any size each, and the two splits of a data set.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/data/image.h"

namespace kagami {

/// One split: 8-bit RGB, each image row after row, three bytes a pixel. Copies share the pixels.
struct ImageSet {
  std::span<const std::uint8_t> pixels;
  std::vector<std::int64_t> offsets;  ///< where each image starts in `pixels`
  std::vector<std::int32_t> heights, widths;
  std::vector<std::int32_t> labels;    ///< indices of class names; empty where the set has no labels
  std::vector<std::string> sources;    ///< where each image came from: a path below the root, or file and number
  std::shared_ptr<const void> memory;  ///< what `pixels` points into

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()); }
  bool labelled() const { return !labels.empty(); }
  std::span<const std::uint8_t> image(std::int64_t index) const;
  std::int64_t image_bytes() const;  ///< of all images; `pixels` may hold others besides
  int max_side() const;
  /// Tells sets apart by number, sizes, labels and names, wherever they lie, in a folder or packed; pixels are not
  /// read.
  std::string fingerprint() const;
};

/// A data set as programs use it. A split that is not there is empty.
struct Dataset {
  std::string name;
  std::vector<std::string> class_names;
  ImageSet train, test;
  std::vector<std::string> skipped;  ///< unreadable files passed over, with the reason
  std::vector<std::string> notes;    ///< what the user should know: files and folders left out

  const ImageSet& labelled_split(bool test_split, const std::string& purpose) const;
};

/// Collects images into one block of memory.
class ImageSetBuilder {
 public:
  /// For as many images as are known to come.
  void reserve(std::int64_t images, std::int64_t bytes);
  void add(std::span<const std::uint8_t> pixels, int height, int width, std::string source);
  void add(const Image& image, std::string source) { add(image.pixels, image.height, image.width, std::move(source)); }
  void add_label(std::int32_t label) { set_.labels.push_back(label); }
  std::int64_t size() const { return set_.size(); }
  ImageSet finish();

 private:
  ImageSet set_;
  std::shared_ptr<std::vector<std::uint8_t>> pixels_ = std::make_shared<std::vector<std::uint8_t>>();
};

/// The given images in the given order; shares the pixels. Throws InputError on an index outside the set.
ImageSet select(const ImageSet& set, std::span<const std::int64_t> indices);

/// The first `per_class` images of each class, in the order of the set. Throws InputError where a class has fewer.
ImageSet first_per_class(const ImageSet& set, std::int64_t per_class);

/// `count` images drawn by `seed`, in the order of the set: the same number of each class (to within one) where there
/// are labels and enough images of each. Throws InputError where the set is smaller.
ImageSet random_subset(const ImageSet& set, std::int64_t count, std::uint64_t seed);

/// Cuts off round(fraction·n) images of each class (of the whole where there are no labels), of two or more at least
/// one and not all, chosen by a hash of their sources: adding or removing other files rarely moves an image to the
/// other side. fraction in [0, 1); 0: none.
struct TrainTest {
  ImageSet train, test;
};
TrainTest split(const ImageSet& set, double fraction);

/// What split does to images of these labels (empty: none) and sources: whether each is held out.
std::vector<bool> held_out(std::span<const std::int32_t> labels, std::span<const std::string> sources, double fraction);

/// Every image shrunk to max_side (see shrink(Image, int)); the set itself where none is larger.
ImageSet shrink(const ImageSet& set, int max_side);

}  // namespace kagami
