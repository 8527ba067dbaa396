#include <charconv>
#include <optional>

#include "engine/data/data.h"
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
    const fs::path inner = folder / name;
    if (is_cifar_folder(inner) || is_idx_folder(inner)) return inner;
  }
  return folder;
}

Dataset read_folder(const fs::path& path, const DataOptions& options) {
  const fs::path folder = inner_folder(path);
  if (is_cifar_folder(folder)) return read_cifar(folder);
  if (is_idx_folder(folder)) return read_idx(folder);
  return read_image_folder(folder, options);
}

Dataset read_source(const std::string& source, const DataOptions& options) {
  if (const auto size = procedural_size(source)) return procedural_data(*size, *size / 5);
  const fs::path path = source;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  check(!source.empty() && fs::exists(status), "data '", source,
        "': no such file or folder; give an image folder, a CIFAR or IDX folder, a packed .safetensors file, or "
        "'procedural'");
  if (fs::is_directory(status)) return read_folder(path, options);
  check(path.extension() == ".safetensors", "data '", source,
        "': neither a folder nor a packed .safetensors file; unpack an archive first");
  return read_pack(path, options.verify);
}

}  // namespace

Dataset open_data(const std::string& source, const DataOptions& options) {
  check(options.val_fraction >= 0 && options.val_fraction < 1, "--val-fraction must be in [0, 1), not ",
        options.val_fraction);
  check(options.max_side >= 0, "--max-side must not be negative: ", options.max_side);
  Dataset data = read_source(source, options);
  data.train = shrink(data.train, options.max_side);
  data.test = shrink(data.test, options.max_side);
  if (options.val_fraction > 0) {
    if (data.test.size() > 0) {
      data.notes.push_back("--val-fraction not used: the data has a test split");
    } else {
      TrainTest parts = split(data.train, options.val_fraction);
      data.train = std::move(parts.train);
      data.test = std::move(parts.test);
    }
  }
  return data;
}

}  // namespace kagami
