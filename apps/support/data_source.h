#pragma once
// The options that say which images a command reads.
#include <cstdint>
#include <string>

#include "apps/support/common_options.h"
#include "apps/support/options.h"
#include "engine/data/data.h"

namespace kagami::apps {

struct DataSource {
  std::string data;
  double val_fraction = 0;
  int max_side = 0;
  bool skip_unreadable = false;
  std::int64_t train_images = 0, test_images = 0;  ///< 0: all

  void declare(Options& options);
  /// Where no --data was given: the images of a run, and its other options but for those that were given.
  void inherit(const DataSource& run, const Options& options);
  /// Makes `data` a path that is found from any folder.
  void name_absolutely();
  /// Reads the images; shows progress and says what was left out, on standard error.
  Dataset open() const;
  /// The same as a packed file; a folder passes through image after image. Returns what was packed.
  Dataset pack(const std::filesystem::path& file) const;
  bool operator==(const DataSource&) const = default;

 private:
  DataOptions options() const;
};

/// What the options of nearly every command end with: images, and what computes.
struct ImageOptions {
  DataSource source;
  ComputeOptions compute;

  void declare(Options& options);
  /// Sets what computes, then reads the images.
  Dataset open();
};

/// At most `count` images (0: all): balanced over classes, the same ones in every run.
ImageSet subset(const ImageSet& set, std::int64_t count);

}  // namespace kagami::apps
