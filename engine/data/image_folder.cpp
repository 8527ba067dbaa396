#include "engine/data/image_folder.h"

#include <algorithm>
#include <optional>

#include "engine/error.h"
#include "kernels/cpu/parallel.h"

namespace kagami {
namespace fs = std::filesystem;
namespace {

constexpr int max_depth = 16;
constexpr std::size_t decode_block = 2048;  // images decoded in parallel, then handed on in order

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return extension;
}

bool is_image_name(const fs::path& path) {
  const std::string extension = lower_extension(path);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

struct Listing {
  std::vector<fs::path> folders, images, others;  // in byte order of their names
};

/// Hidden files and folders are not looked at.
Listing list(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  check(!error, "cannot read folder '", folder.string(), "': ", error.message());
  for (const auto& entry : entries) {
    const fs::path& path = entry.path();
    if (path.filename().string().starts_with(".")) continue;
    std::error_code ignored;
    auto& kind = entry.is_directory(ignored) ? listing.folders : is_image_name(path) ? listing.images : listing.others;
    kind.push_back(path);
  }
  for (auto* paths : {&listing.folders, &listing.images, &listing.others}) std::sort(paths->begin(), paths->end());
  return listing;
}

/// Lists one folder tree. Class names are shared by the splits.
class FolderLister {
 public:
  explicit FolderLister(fs::path root) : root_(std::move(root)) {}

  ImageFolder list_all() {
    const Listing top = list(root_);
    const std::optional<fs::path> train = folder_named(top, "train");
    std::optional<fs::path> test = folder_named(top, "test");
    const std::optional<fs::path> val = folder_named(top, "val");
    if (test && val) note_left_out({*val}, "since test/ is there");
    if (!test) test = val;
    if (train && (test || top.folders.size() == 1)) {
      check(top.images.empty(), "folder '", root_.string(), "' holds both splits (train/) and images (",
            top.images.empty() ? "" : top.images.front().filename().string(), "); move the images into a split");
      note_other_folders(top);
      result_.train = list_split(*train, true);
      if (test) result_.test = list_split(*test, result_.class_names.empty());
    } else {
      result_.train = list_split(root_, true);
    }
    note_left_out(other_files_, "neither JPEG nor PNG by their names");
    return std::move(result_);
  }

 private:
  static std::optional<fs::path> folder_named(const Listing& listing, std::string_view name) {
    for (const fs::path& folder : listing.folders) {
      if (folder.filename() == name) return folder;
    }
    return std::nullopt;
  }

  void note_left_out(const std::vector<fs::path>& paths, std::string_view why) {
    if (paths.empty()) return;
    const std::string more = paths.size() > 1 ? text(" and ", paths.size() - 1, " more") : "";
    result_.notes.push_back(text("left out ", paths.front().lexically_relative(root_).string(), more, ": ", why));
  }

  void note_other_folders(const Listing& top) {
    std::vector<fs::path> others;
    for (const fs::path& folder : top.folders) {
      const std::string name = folder.filename().string();
      if (name != "train" && name != "test" && name != "val") others.push_back(folder);
    }
    note_left_out(others, "not a split (train, test, val)");
  }

  /// `defines_classes`: its class folders are the data set's classes; otherwise they must be among them.
  std::vector<ImageFile> list_split(const fs::path& folder, bool defines_classes) {
    const Listing listing = list(folder);
    check(listing.images.empty() || listing.folders.empty(), "folder '", folder.string(), "' holds both images (",
          listing.images.empty() ? "" : listing.images.front().filename().string(), ") and folders (",
          listing.folders.empty() ? "" : listing.folders.front().filename().string(),
          "/): put every image into a class folder, or remove the folders for a set without labels");
    other_files_.insert(other_files_.end(), listing.others.begin(), listing.others.end());
    std::vector<ImageFile> files;
    for (const fs::path& image : listing.images) files.push_back(file(image, -1));
    for (const fs::path& class_folder : listing.folders) {
      add_class(class_folder, class_index(class_folder, defines_classes), files);
    }
    check(!files.empty(), "folder '", folder.string(), "' holds no JPEG or PNG files",
          listing.others.empty() ? std::string()
                                 : text(" (", listing.others.size(), " other files, such as ",
                                        listing.others.front().filename().string(), ")"),
          "; give a folder of images or of class folders");
    std::sort(files.begin(), files.end(), [](const ImageFile& a, const ImageFile& b) { return a.source < b.source; });
    return files;
  }

  std::int32_t class_index(const fs::path& class_folder, bool defines_classes) {
    const std::string name = class_folder.filename().string();
    auto& names = result_.class_names;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return static_cast<std::int32_t>(found - names.begin());
    check(defines_classes, "class folder '", class_folder.string(),
          "' has no counterpart in train/; add it or remove it");
    names.push_back(name);
    return static_cast<std::int32_t>(names.size() - 1);
  }

  void add_class(const fs::path& folder, std::int32_t label, std::vector<ImageFile>& files) {
    const std::size_t before = files.size();
    add_tree(folder, label, max_depth, files);
    check(files.size() > before, "class folder '", folder.string(),
          "' holds no JPEG or PNG files; remove it or put images into it");
  }

  void add_tree(const fs::path& folder, std::int32_t label, int depth_left, std::vector<ImageFile>& files) {
    check(depth_left > 0, "folder '", folder.string(), "' is nested more than ", max_depth,
          " deep (a link to a folder above it?)");
    const Listing listing = list(folder);
    for (const fs::path& image : listing.images) files.push_back(file(image, label));
    for (const fs::path& below : listing.folders) add_tree(below, label, depth_left - 1, files);
    other_files_.insert(other_files_.end(), listing.others.begin(), listing.others.end());
  }

  ImageFile file(const fs::path& path, std::int32_t label) const {
    return {path, path.lexically_relative(root_).generic_string(), label};
  }

  fs::path root_;
  ImageFolder result_;
  std::vector<fs::path> other_files_;
};

/// Decodes a block in parallel, then hands the images on in order.
void visit_block(std::span<const ImageFile> files, const DataOptions& options, std::vector<std::string>& skipped,
                 const ImageVisitor& visit) {
  std::vector<Image> images(files.size());
  std::vector<std::string> errors(files.size());
  cpu::parallel_for(static_cast<std::int64_t>(files.size()), 8, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      try {
        images[i] = shrink(read_image(files[i].path), options.max_side);
      } catch (const InputError& error) {
        errors[i] = error.what();
      }
    }
  });
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (errors[i].empty()) {
      visit(images[i], files[i]);
    } else {
      check(options.skip_unreadable, errors[i], " (remove it, or pass over such files with --skip-unreadable)");
      skipped.push_back(errors[i]);
    }
  }
}

ImageSet decode(const std::vector<ImageFile>& files, const DataOptions& options, std::vector<std::string>& skipped) {
  ImageSetBuilder builder;
  visit_images(files, options, skipped, [&](const Image& image, const ImageFile& file) {
    builder.add(image, file.source);
    if (file.label >= 0) builder.add_label(file.label);
  });
  return builder.finish();
}

}  // namespace

ImageFolder list_image_folder(const fs::path& root, double val_fraction) {
  ImageFolder folder = FolderLister(root).list_all();
  if (val_fraction > 0 && !folder.test.empty()) {
    folder.notes.emplace_back(val_fraction_unused);
  } else if (val_fraction > 0) {
    std::vector<std::int32_t> labels;
    std::vector<std::string> sources;
    for (const ImageFile& file : folder.train) {
      if (file.label >= 0) labels.push_back(file.label);
      sources.push_back(file.source);
    }
    const std::vector<bool> held = held_out(labels, sources, val_fraction);
    std::vector<ImageFile> train;
    for (std::size_t i = 0; i < held.size(); ++i) (held[i] ? folder.test : train).push_back(std::move(folder.train[i]));
    folder.train = std::move(train);
  }
  return folder;
}

void visit_images(std::span<const ImageFile> files, const DataOptions& options, std::vector<std::string>& skipped,
                  const ImageVisitor& visit) {
  const std::size_t skipped_before = skipped.size();
  for (std::size_t start = 0; start < files.size(); start += decode_block) {
    const std::size_t count = std::min(decode_block, files.size() - start);
    visit_block(files.subspan(start, count), options, skipped, visit);
    if (options.progress) {
      options.progress(static_cast<std::int64_t>(start + count), static_cast<std::int64_t>(files.size()));
    }
  }
  check(files.empty() ||
                skipped.size() -
                    skipped_before<files.size(), "none of the ", files.size(), " images can be read; ", skipped.size()>
                        skipped_before
            ? skipped[skipped_before]
            : std::string());
}

Dataset read_image_folder(const fs::path& root, const DataOptions& options) {
  const ImageFolder folder = list_image_folder(root, options.val_fraction);
  Dataset data;
  data.name = root.string();
  data.class_names = folder.class_names;
  data.notes = folder.notes;
  data.train = decode(folder.train, options, data.skipped);
  data.test = decode(folder.test, options, data.skipped);
  return data;
}

}  // namespace kagami
