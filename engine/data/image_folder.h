#pragma once
// Folders of JPEG and PNG images: which files they hold, and the files one after another.
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/data.h"
#include "engine/data/image.h"

namespace kagami {

struct ImageFile {
  std::filesystem::path path;
  std::string source;       ///< the path below the root, '/' between folders
  std::int32_t label = -1;  ///< -1: none
};

/// What lies in a folder, by read_image_folder's rules, in order. Nothing is decoded yet.
struct ImageFolder {
  std::vector<std::string> class_names;
  std::vector<ImageFile> train, test;
  std::vector<std::string> notes;
};

/// Throws InputError where the folder cannot be a data set. Holds out `val_fraction` of the images (see split) where
/// there is no test split.
ImageFolder list_image_folder(const std::filesystem::path& root, double val_fraction);

using ImageVisitor = std::function<void(const Image& image, const ImageFile& file)>;

/// Decodes files on all threads and calls `visit` in their order, holding only some of them in memory. An unreadable
/// file is an InputError, or is added to `skipped`, as the options say.
void visit_images(std::span<const ImageFile> files, const DataOptions& options, std::vector<std::string>& skipped,
                  const ImageVisitor& visit);

/// The note that a given --val-fraction had nothing to do.
inline constexpr const char* val_fraction_unused = "--val-fraction not used: the data has a test split";

}  // namespace kagami
