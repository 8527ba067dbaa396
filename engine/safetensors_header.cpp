#include "engine/safetensors_header.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>
#include <set>

namespace kagami::detail {
namespace json = boost::json;
namespace {

constexpr const char* metadata_key = "__metadata__";
constexpr std::size_t data_alignment = 64;
constexpr std::size_t max_rank = 32;

/// Finds a key that stands twice in one object: a parsed value keeps only the last one.
struct DuplicateFinder {
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = max_object_size;
  static constexpr std::size_t max_string_size = max_object_size;

  std::vector<std::set<std::string, std::less<>>> keys;
  std::string key;
  std::optional<std::string> duplicate;

  using Error = json::error_code;
  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) {
    keys.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, Error&) {
    keys.pop_back();
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, Error&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, Error&) {
    key.append(part.data(), part.size());
    if (!keys.back().insert(key).second && !duplicate) duplicate = key;
    key.clear();
    return true;
  }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t, Error&) { return true; }
  bool on_string_part(json::string_view, std::size_t, Error&) { return true; }
  bool on_string(json::string_view, std::size_t, Error&) { return true; }
  bool on_number_part(json::string_view, Error&) { return true; }
  bool on_int64(std::int64_t, json::string_view, Error&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, Error&) { return true; }
  bool on_double(double, json::string_view, Error&) { return true; }
  bool on_bool(bool, Error&) { return true; }
  bool on_null(Error&) { return true; }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }
};

std::optional<std::string> find_duplicate_key(std::string_view text) {
  json::basic_parser<DuplicateFinder> parser{json::parse_options{}};
  json::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  return parser.handler().duplicate;
}

std::optional<StoredType> stored_type_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(StoredType::u64); ++i) {
    if (name == name_of(static_cast<StoredType>(i))) return static_cast<StoredType>(i);
  }
  return std::nullopt;
}

std::string as_text(json::string_view view) { return std::string(view.data(), view.size()); }

/// Names come from the file: line breaks in them must not break the message.
std::string printable(std::string name) {
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return name;
}

/// Reads one value "name": {"dtype": ..., "shape": [...], "data_offsets": [first, last]}.
class EntryReader {
 public:
  EntryReader(const std::string& file, std::string name) : file_(file), name_(std::move(name)) {}

  HeaderEntry read(const json::value& value, std::size_t data_bytes) const {
    require(value.is_object(), "its entry in the header is not an object");
    const json::object& object = value.get_object();
    HeaderEntry entry;
    entry.tensor.name = name_;
    entry.tensor.type = type(field(object, "dtype"));
    for (const std::uint64_t dim : numbers(object, "shape")) {
      require(dim <= std::numeric_limits<std::int64_t>::max(), "its shape is too large");
      entry.tensor.shape.push_back(static_cast<std::int64_t>(dim));
    }
    require(entry.tensor.shape.size() <= max_rank, "it has more than ", max_rank, " dimensions");
    const std::vector<std::uint64_t> offsets = numbers(object, "data_offsets");
    require(offsets.size() == 2 && offsets[0] <= offsets[1], "data_offsets must be two rising numbers");
    entry.first = offsets[0];
    entry.last = offsets[1];
    require(entry.last <= data_bytes, "its data ends at byte ", entry.last, " but the file holds only ", data_bytes,
            " bytes of data; the file is cut off or damaged");
    require(object.size() == 3, "its entry in the header has unknown fields");
    check_size(entry);
    return entry;
  }

 private:
  template <class... Parts>
  void require(bool ok, Parts&&... parts) const {
    check(ok, file_, ": tensor '", printable(name_), "': ", std::forward<Parts>(parts)...);
  }

  const json::value& field(const json::object& object, const char* key) const {
    const json::value* found = object.if_contains(key);
    require(found != nullptr, "its entry in the header lacks '", key, "'");
    return *found;
  }

  StoredType type(const json::value& value) const {
    require(value.is_string(), "its dtype is not a string");
    const std::string name = as_text(value.get_string());
    const std::optional<StoredType> type = stored_type_named(name);
    require(type.has_value(), "unknown dtype '", printable(name), "'");
    return *type;
  }

  std::vector<std::uint64_t> numbers(const json::object& object, const char* key) const {
    const json::value& value = field(object, key);
    require(value.is_array(), "its ", key, " is not a list");
    std::vector<std::uint64_t> result;
    for (const json::value& element : value.get_array()) {
      const bool natural = element.is_uint64() || (element.is_int64() && element.get_int64() >= 0);
      require(natural, "its ", key, " holds something that is not a non-negative integer");
      result.push_back(element.to_number<std::uint64_t>());
    }
    return result;
  }

  void check_size(const HeaderEntry& entry) const {
    std::size_t bytes = 0;
    try {
      bytes = entry.tensor.bytes();
    } catch (const InputError&) {
      require(false, "its shape is too large");
    }
    require(bytes == entry.last - entry.first, "its shape needs ", bytes, " bytes of ", entry.tensor.type,
            " but data_offsets span ", entry.last - entry.first);
  }

  const std::string& file_;
  std::string name_;
};

Metadata read_metadata(const json::value& value, const std::string& file) {
  check(value.is_object(), file, ": __metadata__ in the header is not an object");
  Metadata metadata;
  for (const auto& [key, entry] : value.get_object()) {
    check(entry.is_string(), file, ": __metadata__ entry '", printable(as_text(key)), "' is not a string");
    metadata[as_text(key)] = as_text(entry.get_string());
  }
  return metadata;
}

void check_coverage(const std::vector<HeaderEntry>& entries, std::size_t data_bytes, const std::string& file) {
  std::size_t end = 0;
  std::string previous;
  for (const HeaderEntry& entry : entries) {
    check(entry.first >= end, file, ": tensor '", printable(entry.tensor.name), "' overlaps tensor '",
          printable(previous), "'; the header is damaged");
    check(entry.first == end, file, ": tensor '", printable(entry.tensor.name), "' starts at byte ", entry.first,
          " of the data but the tensor before it ends at ", end, "; the header is damaged");
    end = entry.last;
    previous = entry.tensor.name;
  }
  check(end == data_bytes, file, ": ", data_bytes - end, " bytes follow the last tensor; the file is damaged");
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, std::size_t data_bytes, const std::string& file) {
  json::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  check(!error, file, ": the header is not valid JSON (", error.message(), "); the file is damaged");
  check(root.is_object(), file, ": the header is not a JSON object; the file is damaged");
  if (const auto duplicate = find_duplicate_key(text)) {
    throw InputError(
        kagami::text(file, ": '", printable(*duplicate), "' stands twice in the header; the file is damaged"));
  }
  SafetensorsHeader header;
  for (const auto& [key, value] : root.get_object()) {
    if (key == metadata_key) {
      header.metadata = read_metadata(value, file);
    } else {
      header.entries.push_back(EntryReader(file, as_text(key)).read(value, data_bytes));
    }
  }
  std::stable_sort(header.entries.begin(), header.entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return a.first != b.first ? a.first < b.first : a.last < b.last;
  });
  check_coverage(header.entries, data_bytes, file);
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header, std::size_t minimum) {
  json::object root;
  json::object metadata;
  for (const auto& [key, value] : header.metadata) metadata[key] = value;
  root[metadata_key] = metadata;
  for (const HeaderEntry& entry : header.entries) {
    root[entry.tensor.name] = {{"dtype", name_of(entry.tensor.type)},
                               {"shape", json::array(entry.tensor.shape.begin(), entry.tensor.shape.end())},
                               {"data_offsets", json::array{entry.first, entry.last}}};
  }
  std::string text = json::serialize(root);
  if (text.size() < minimum) text.resize(minimum, ' ');
  const std::size_t used = (header_length_bytes + text.size()) % data_alignment;
  if (used != 0) text.append(data_alignment - used, ' ');
  return text;
}

}  // namespace kagami::detail
