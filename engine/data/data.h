#pragma once
// Opening data: one function for every format.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "engine/data/image_set.h"

namespace kagami {

struct DataOptions {
  /// Share of the images held out as test split where the data brings none (see split); 0: no test split.
  double val_fraction = 0;
  /// Images with a longer side are shrunk to it; 0: none.
  int max_side = 0;
  /// Files that cannot be decoded are listed in Dataset::skipped instead of being an error.
  bool skip_unreadable = false;
  /// Reads a pack's data once to compare it with its checksum.
  bool verify = false;
  /// Called now and then while many files are decoded.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

/// Whether `source` names the built-in set, and no file.
bool is_procedural(const std::string& source);

/// Opens what `source` names:
///  - `procedural` or `procedural:N`: the built-in set with N training images and a fifth as many test images;
///  - a packed set (.safetensors): memory-mapped;
///  - a folder with CIFAR-10 or CIFAR-100 binary files, or MNIST-style IDX files (.gz too);
///  - a folder of JPEG and PNG images (see read_image_folder).
/// Throws InputError, in one line that says what is wrong and what to do, where that fails.
Dataset open_data(const std::string& source, const DataOptions& options = {});

/// Writes what `source` names as a pack (see pack.h), of which the result is the opened file; `skipped` and `notes`
/// tell of the source. Images of a folder pass through one after another: the set may be larger than memory.
Dataset pack_data(const std::string& source, const std::filesystem::path& file, const DataOptions& options = {});

/// Images of a folder. Folders `train` with `test` or `val` directly below are splits; in each split (or directly in
/// `root`) either the images themselves, unlabelled, or one folder per class, whose images may lie at any depth.
/// Images are in the byte order of their paths, classes in the byte order of their names.
Dataset read_image_folder(const std::filesystem::path& root, const DataOptions& options);

/// Whether the folder holds CIFAR binary files (data_batch_1.bin ... or train.bin, test.bin).
bool is_cifar_folder(const std::filesystem::path& folder);
Dataset read_cifar(const std::filesystem::path& folder);

/// Whether the folder holds IDX files (train-images-idx3-ubyte ..., also with .gz).
bool is_idx_folder(const std::filesystem::path& folder);
Dataset read_idx(const std::filesystem::path& folder);

}  // namespace kagami
