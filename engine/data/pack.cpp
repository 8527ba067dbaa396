#include "engine/data/pack.h"

#include <algorithm>
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

constexpr std::size_t entries_room = 4096;  // for a dozen tensors and the metadata besides names
constexpr std::size_t alignment = 64;

Metadata pack_metadata(std::string name, const std::vector<std::string>& class_names) {
  const json::array classes(class_names.begin(), class_names.end());
  return {{format_key, format_name}, {name_key, std::move(name)}, {classes_key, json::serialize(classes)}};
}

/// Within a JSON string every byte may become six.
std::size_t header_room(const Metadata& metadata) {
  std::size_t room = entries_room;
  for (const auto& [key, value] : metadata) room += 6 * value.size();
  return room;
}

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
    auto start = bytes.begin();
    while (static_cast<std::int64_t>(result.size()) < count) {
      const auto end = std::find(start, bytes.end(), 0);
      check(end != bytes.end(), where_, ": tensor '", name, "' holds ", result.size(), " names for ", count,
            " images; the file is damaged");
      result.emplace_back(start, end);
      start = end + 1;
    }
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

PackWriter::PackWriter(const std::filesystem::path& path, std::string name, const std::vector<std::string>& class_names)
    : metadata_(pack_metadata(std::move(name), class_names)), file_(path, header_room(metadata_)) {}

void PackWriter::begin_split(std::string split) {
  end_split();
  split_ = std::move(split);
}

void PackWriter::add(std::span<const std::uint8_t> pixels, int height, int width, std::int32_t label,
                     const std::string& source) {
  if (offsets_.empty()) file_.begin(split_ + ".pixels", StoredType::u8);
  offsets_.push_back(file_.tensor_bytes());
  heights_.push_back(height);
  widths_.push_back(width);
  if (label >= 0) labels_.push_back(label);
  check(labels_.empty() || labels_.size() == offsets_.size(), "pack: image '", source,
        "' has a label where others have none, or none where others have one");
  sources_.append(source).push_back('\0');
  file_.append(pixels.data(), pixels.size());
}

template <class T>
void PackWriter::write_column(const char* column, const std::vector<T>& values) {
  file_.begin(split_ + column, stored_type<T>);
  file_.append(values.data(), values.size() * sizeof(T));
  file_.end({static_cast<std::int64_t>(values.size())});
}

void PackWriter::end_split() {
  if (offsets_.empty()) return;
  file_.align(alignment);
  file_.end({file_.tensor_bytes()});
  write_column(".offsets", offsets_);
  write_column(".heights", heights_);
  write_column(".widths", widths_);
  if (!labels_.empty()) write_column(".labels", labels_);
  file_.begin(split_ + ".sources", StoredType::u8);
  file_.append(sources_.data(), sources_.size());
  file_.align(alignment);
  file_.end({file_.tensor_bytes()});
  offsets_.clear();
  heights_.clear();
  widths_.clear();
  labels_.clear();
  sources_.clear();
}

void PackWriter::commit() {
  end_split();
  file_.commit(metadata_);
}

void write_pack(const Dataset& data, const std::filesystem::path& path) {
  PackWriter writer(path, data.name, data.class_names);
  for (const auto& [name, set] : {std::pair{"train", &data.train}, {"test", &data.test}}) {
    writer.begin_split(name);
    for (std::int64_t i = 0; i < set->size(); ++i) {
      writer.add(set->image(i), set->heights[i], set->widths[i], set->labelled() ? set->labels[i] : -1,
                 set->sources[i]);
    }
  }
  writer.commit();
}

Dataset read_pack(const std::filesystem::path& path, bool verify) { return PackReader(path).read(verify); }

}  // namespace kagami
