#include "apps/support/data_source.h"

#include <unistd.h>

#include <cstdio>

#include "engine/data/pack.h"
#include "engine/error.h"

namespace kagami::apps {
namespace {

constexpr std::uint64_t subset_seed = 1;  // not --seed: runs with other seeds see the same images

void show_reading(std::int64_t done, std::int64_t total) {
  if (isatty(STDERR_FILENO) != 1) return;
  std::fprintf(stderr, "\rreading image %lld of %lld\033[K", static_cast<long long>(done),
               static_cast<long long>(total));
  if (done >= total) std::fputs("\r\033[K", stderr);
}

void tell(const Dataset& set) {
  for (const std::string& note : set.notes) std::fprintf(stderr, "kagami: %s\n", note.c_str());
  if (!set.skipped.empty())
    std::fprintf(stderr, "kagami: %zu unreadable files were passed over:\n", set.skipped.size());
  for (const std::string& file : set.skipped) std::fprintf(stderr, "  %s\n", file.c_str());
}

}  // namespace

void DataSource::declare(Options& options) {
  options.group("Images");
  options
      .add("data", data, "PATH",
           "a folder of JPEG or PNG images (folders as classes, or flat and unlabelled; train/ with test/ or val/ are "
           "splits), a folder with CIFAR-10, CIFAR-100 or MNIST files, a packed .safetensors file, or `procedural` "
           "for the built-in set (procedural:N has N training images)")
      .once();
  options.add("val-fraction", val_fraction, "X", "share held out as test images where the data has no such split")
      .between(0, 0.9);
  options.add("max-side", max_side, "N", "shrink larger images to this many pixels; 0: keep").between(0, 65536);
  options.add("skip-unreadable", skip_unreadable, "list files that cannot be decoded instead of stopping");
  options.add("train-images", train_images, "N", "use at most this many training images, balanced over classes; 0: all")
      .between(0, 1e15);
  options.add("test-images", test_images, "N", "use at most this many test images; 0: all").between(0, 1e15);
}

void DataSource::inherit(const DataSource& run, const Options& options) {
  if (!data.empty()) return;
  const auto inherit_unless_given = [&](const char* option, auto& mine, const auto& of_run) {
    if (!options.given(option)) mine = of_run;
  };
  data = run.data;
  inherit_unless_given("val-fraction", val_fraction, run.val_fraction);
  inherit_unless_given("max-side", max_side, run.max_side);
  inherit_unless_given("skip-unreadable", skip_unreadable, run.skip_unreadable);
  inherit_unless_given("train-images", train_images, run.train_images);
  inherit_unless_given("test-images", test_images, run.test_images);
}

void DataSource::name_absolutely() {
  std::error_code ignored;
  if (is_procedural(data) || !std::filesystem::exists(data, ignored)) return;
  data = std::filesystem::absolute(data).lexically_normal().string();
}

ImageSet subset(const ImageSet& set, std::int64_t count) {
  return count == 0 || count >= set.size() ? set : random_subset(set, count, subset_seed);
}

DataOptions DataSource::options() const {
  check(!data.empty(), "--data is missing: give a folder, a packed file, or `procedural`");
  DataOptions wanted;
  wanted.val_fraction = val_fraction;
  wanted.max_side = max_side;
  wanted.skip_unreadable = skip_unreadable;
  wanted.progress = show_reading;
  return wanted;
}

Dataset DataSource::open() const {
  Dataset set = open_data(data, options());
  tell(set);
  set.train = subset(set.train, train_images);
  set.test = subset(set.test, test_images);
  return set;
}

Dataset DataSource::pack(const std::filesystem::path& file) const {
  if (train_images == 0 && test_images == 0) {
    Dataset set = pack_data(data, file, options());
    tell(set);
    return set;
  }
  Dataset set = open();
  write_pack(set, file);
  return set;
}

void ImageOptions::declare(Options& options) {
  source.declare(options);
  compute.declare(options);
}

Dataset ImageOptions::open() {
  compute.apply();
  return source.open();
}

}  // namespace kagami::apps
