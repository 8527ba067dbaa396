#include "engine/data/pack.h"

#include <boost/json.hpp>

#include "engine/error.h"
#include "engine/safetensors.h"

namespace kagami {
namespace json = boost::json;
namespace {

constexpr const char* format_key = "kagami.format";
constexpr const char* name_key = "kagami.name";
constexpr const char* classes_key = "kagami.classes";
constexpr const char* format_name = "images-1";

/// The tensors of one split, and the memory they point into.
struct PackedSplit {
  PackedSplit(const ImageSet& set, const std::string& name) : images(compact(set)) {
    for (const std::string& source : images.sources) sources.append(source).push_back('\0');
    const std::int64_t count = images.size();
    const std::span<const std::uint8_t> names{reinterpret_cast<const std::uint8_t*>(sources.data()), sources.size()};
    const auto length = [](const auto& values) { return static_cast<std::int64_t>(values.size()); };
    tensors.push_back(store<std::int64_t>(name + ".offsets", {count}, images.offsets));
    tensors.push_back(store<std::int32_t>(name + ".heights", {count}, images.heights));
    tensors.push_back(store<std::int32_t>(name + ".widths", {count}, images.widths));
    if (images.labelled()) tensors.push_back(store<std::int32_t>(name + ".labels", {count}, images.labels));
    tensors.push_back(store<std::uint8_t>(name + ".sources", {length(names)}, names));
    tensors.push_back(store<std::uint8_t>(name + ".pixels", {length(images.pixels)}, images.pixels));
  }

  ImageSet images;
  std::string sources;
  std::vector<StoredTensor> tensors;
};

class PackReader {
 public:
  explicit PackReader(const std::filesystem::path& path) : file_(path), where_(path.string()) {
    const auto& metadata = file_.metadata();
    const auto format = metadata.find(format_key);
    check(format != metadata.end(), where_,
          ": a safetensors file but not packed images; pack them with `kagami data pack`");
    check(format->second == format_name, where_, ": pack format '", format->second, "' is not known to this version (",
          format_name, "); pack the images again");
  }

  Dataset read(bool verify) {
    if (verify) file_.verify();
    Dataset data;
    data.name = file_.text_of(name_key);
    data.class_names = class_names();
    data.train = split("train", data.class_names.size());
    data.test = split("test", data.class_names.size());
    return data;
  }

 private:
  std::vector<std::string> class_names() const {
    json::error_code error;
    const json::value root = json::parse(file_.text_of(classes_key), error);
    check(!error && root.is_array(), where_, ": metadata entry '", classes_key,
          "' is not a JSON list; the file is damaged");
    std::vector<std::string> names;
    for (const json::value& name : root.get_array()) {
      check(name.is_string(), where_, ": a class name is not a string; the file is damaged");
      names.emplace_back(name.get_string().data(), name.get_string().size());
    }
    return names;
  }

  template <class T>
  std::vector<T> column(const std::string& name, std::int64_t count) const {
    const std::span<const T> values = file_.values<T>(name);
    check(static_cast<std::int64_t>(values.size()) == count, where_, ": tensor '", name, "' has ", values.size(),
          " values for ", count, " images; the file is damaged");
    return {values.begin(), values.end()};
  }

  ImageSet split(const std::string& name, std::size_t classes) const {
    ImageSet set;
    if (!file_.contains(name + ".pixels")) return set;
    set.pixels = file_.values<std::uint8_t>(name + ".pixels");
    set.memory = file_.memory();
    const auto offsets = file_.values<std::int64_t>(name + ".offsets");
    set.offsets.assign(offsets.begin(), offsets.end());
    set.heights = column<std::int32_t>(name + ".heights", set.size());
    set.widths = column<std::int32_t>(name + ".widths", set.size());
    if (file_.contains(name + ".labels")) set.labels = column<std::int32_t>(name + ".labels", set.size());
    set.sources = sources(name + ".sources", set.size());
    check_images(set, name);
    for (const std::int32_t label : set.labels) {
      check(label >= 0 && static_cast<std::size_t>(label) < classes, where_, ": tensor '", name, ".labels' holds ",
            label, " but there are ", classes, " classes; the file is damaged");
    }
    return set;
  }

  std::vector<std::string> sources(const std::string& name, std::int64_t count) const {
    const auto bytes = file_.values<std::uint8_t>(name);
    std::vector<std::string> result;
    std::string current;
    for (const std::uint8_t byte : bytes) {
      if (byte != 0) {
        current.push_back(static_cast<char>(byte));
        continue;
      }
      result.push_back(std::move(current));
      current.clear();
    }
    check(current.empty() && static_cast<std::int64_t>(result.size()) == count, where_, ": tensor '", name, "' holds ",
          result.size(), " names for ", count, " images; the file is damaged");
    return result;
  }

  void check_images(const ImageSet& set, const std::string& name) const {
    const auto available = static_cast<std::int64_t>(set.pixels.size());
    for (std::int64_t i = 0; i < set.size(); ++i) {
      const std::int64_t height = set.heights[i], width = set.widths[i], offset = set.offsets[i];
      const bool inside = height > 0 && width > 0 && height * width <= max_image_pixels && offset >= 0 &&
                          offset <= available && height * width * 3 <= available - offset;
      check(inside, where_, ": split '", name, "': image ", i, " (", height, "x", width, " at byte ", offset,
            ") does not lie within the pixels; the file is damaged");
    }
  }

  SafetensorsFile file_;
  std::string where_;
};

}  // namespace

void write_pack(const Dataset& data, const std::filesystem::path& path) {
  const PackedSplit train(data.train, "train");
  const PackedSplit test(data.test, "test");
  std::vector<StoredTensor> tensors;
  for (const PackedSplit* split : {&train, &test}) {
    if (split->images.size() > 0) tensors.insert(tensors.end(), split->tensors.begin(), split->tensors.end());
  }
  const json::array classes(data.class_names.begin(), data.class_names.end());
  write_safetensors(path, tensors,
                    {{format_key, format_name}, {name_key, data.name}, {classes_key, json::serialize(classes)}});
}

Dataset read_pack(const std::filesystem::path& path, bool verify) { return PackReader(path).read(verify); }

}  // namespace kagami
