#include <charconv>
#include <optional>

#include "engine/data/data.h"
#include "engine/data/image_folder.h"
#include "engine/data/pack.h"
#include "engine/data/procedural.h"
#include "engine/error.h"

namespace kagami {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view procedural_name = "procedural";

/// The number of training images in `procedural` or `procedural:N`; empty where the source is something else.
std::optional<std::int64_t> procedural_size(const std::string& source) {
  if (!source.starts_with(procedural_name)) return std::nullopt;
  const std::string_view rest = std::string_view(source).substr(procedural_name.size());
  if (rest.empty()) return default_procedural_images;
  if (rest[0] != ':') return std::nullopt;
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), size);
  check(error == std::errc() && end == rest.data() + rest.size() && size >= 10 && size <= 10'000'000, "data '", source,
        "': give the number of training images as in procedural:20000 (10 to 10000000)");
  return size;
}

/// Archives and downloads keep the files in a folder of their own.
fs::path inner_folder(const fs::path& folder) {
  for (const char* name : {"cifar-10-batches-bin", "cifar-100-binary", "MNIST/raw", "FashionMNIST/raw", "raw"}) {
    fs::path inner = folder / name;
    if (is_cifar_folder(inner) || is_idx_folder(inner)) return inner;
  }
  return folder;
}

/// Where the images are all there without decoding: limits their size and holds some out.
Dataset adapt(Dataset data, const DataOptions& options) {
  data.train = shrink(data.train, options.max_side);
  data.test = shrink(data.test, options.max_side);
  if (options.val_fraction > 0 && data.test.size() > 0) {
    data.notes.emplace_back(val_fraction_unused);
  } else if (options.val_fraction > 0) {
    TrainTest parts = split(data.train, options.val_fraction);
    data.train = std::move(parts.train);
    data.test = std::move(parts.test);
  }
  return data;
}

/// The folder whose images are to be decoded; empty where the source is anything else.
std::optional<fs::path> image_folder(const std::string& source) {
  std::error_code ignored;
  if (procedural_size(source) || !fs::is_directory(source, ignored)) return std::nullopt;
  const fs::path folder = inner_folder(source);
  if (is_cifar_folder(folder) || is_idx_folder(folder)) return std::nullopt;
  return folder;
}

/// Everything but an image folder.
Dataset read_source(const std::string& source, const DataOptions& options) {
  if (const auto size = procedural_size(source)) return procedural_data(*size, *size / 5);
  const fs::path path = source;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  check(!source.empty() && fs::exists(status), "data '", source,
        "': no such file or folder; give an image folder, a CIFAR or IDX folder, a packed .safetensors file, or "
        "'procedural'");
  if (fs::is_directory(status)) {
    const fs::path folder = inner_folder(path);
    return is_cifar_folder(folder) ? read_cifar(folder) : read_idx(folder);
  }
  check(path.extension() == ".safetensors", "data '", source,
        "': neither a folder nor a packed .safetensors file; unpack an archive first");
  return read_pack(path, options.verify);
}

void check_options(const DataOptions& options) {
  check(options.val_fraction >= 0 && options.val_fraction < 1, "--val-fraction must be in [0, 1), not ",
        options.val_fraction);
  check(options.max_side >= 0, "--max-side must not be negative: ", options.max_side);
}

}  // namespace

bool is_procedural(const std::string& source) { return procedural_size(source).has_value(); }

Dataset open_data(const std::string& source, const DataOptions& options) {
  check_options(options);
  if (const auto folder = image_folder(source)) return read_image_folder(*folder, options);
  return adapt(read_source(source, options), options);
}

Dataset pack_data(const std::string& source, const fs::path& file, const DataOptions& options) {
  check_options(options);
  Dataset report;
  if (const auto root = image_folder(source)) {
    const ImageFolder folder = list_image_folder(*root, options.val_fraction);
    PackWriter writer(file, root->string(), folder.class_names);
    for (const auto& [name, files] : {std::pair{"train", &folder.train}, {"test", &folder.test}}) {
      writer.begin_split(name);
      visit_images(*files, options, report.skipped, [&](const Image& image, const ImageFile& from) {
        writer.add(image.pixels, image.height, image.width, from.label, from.source);
      });
    }
    writer.commit();
    report.notes = folder.notes;
  } else {
    const Dataset data = adapt(read_source(source, options), options);
    write_pack(data, file);
    report.notes = data.notes;
  }
  Dataset packed = read_pack(file);
  packed.skipped = std::move(report.skipped);
  packed.notes = std::move(report.notes);
  return packed;
}

}  // namespace kagami
