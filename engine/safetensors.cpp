#include "engine/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <set>

#include "engine/atomic_file.h"
#include "engine/checksum.h"
#include "engine/mapped_file.h"
#include "engine/safetensors_header.h"

namespace kagami {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

constexpr const char* checksum_key = "kagami.checksum";

struct TypeInfo {
  const char* name;
  std::size_t bytes;
};

constexpr TypeInfo type_table[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},   {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2},
                                   {"U16", 2},  {"F16", 2}, {"BF16", 2}, {"I32", 4},     {"U32", 4},     {"F32", 4},
                                   {"C64", 8},  {"F64", 8}, {"I64", 8},  {"U64", 8}};

/// Covers what a reader uses: names, types, shapes, other metadata and the data; not the JSON's spelling.
std::string checksum_of(std::span<const StoredTensor> tensors, const Metadata& metadata) {
  Checksum sum;
  const auto add_number = [&](std::uint64_t number) { sum.add(&number, sizeof number); };
  const auto add_text = [&](std::string_view text) {
    add_number(text.size());
    sum.add(text);
  };
  add_number(metadata.size());
  for (const auto& [key, value] : metadata) {
    add_text(key);
    add_text(value);
  }
  for (const StoredTensor& tensor : tensors) {
    add_text(tensor.name);
    add_text(name_of(tensor.type));
    add_number(tensor.shape.size());
    for (const std::int64_t dim : tensor.shape) add_number(static_cast<std::uint64_t>(dim));
    sum.add(tensor.data, tensor.bytes());
  }
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(sum.value()));
  return digits;
}

/// Data of foreign files may start anywhere; where an element would straddle its alignment, a copy stands in.
struct MappedTensors {
  explicit MappedTensors(const std::filesystem::path& path) : file(path) {}

  const std::byte* aligned(const std::byte* data, std::size_t bytes, std::size_t alignment) {
    if (reinterpret_cast<std::uintptr_t>(data) % alignment == 0) return data;
    copies.push_back(std::make_unique<std::byte[]>(bytes));
    std::memcpy(copies.back().get(), data, bytes);
    return copies.back().get();
  }

  MappedFile file;
  std::vector<std::unique_ptr<std::byte[]>> copies;
};

}  // namespace

std::size_t size_of(StoredType type) { return type_table[static_cast<int>(type)].bytes; }
const char* name_of(StoredType type) { return type_table[static_cast<int>(type)].name; }
std::ostream& operator<<(std::ostream& out, StoredType type) { return out << name_of(type); }

StoredType stored_type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return StoredType::f32;
    case DType::f64:
      return StoredType::f64;
    case DType::i32:
      return StoredType::i32;
    case DType::u8:
      return StoredType::u8;
    case DType::bf16:
      return StoredType::bf16;
  }
  throw InputError("safetensors: not an element type");
}

std::optional<DType> dtype_of_stored(StoredType type) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::u8, DType::bf16}) {
    if (stored_type_of(dtype) == type) return dtype;
  }
  return std::nullopt;
}

std::size_t StoredTensor::bytes() const {
  std::size_t bytes = size_of(type);
  bool empty = false;
  for (const std::int64_t dim : shape) {
    check(dim >= 0, "safetensors: tensor '", name, "' has a negative dimension");
    empty = empty || dim == 0;
    const std::size_t factor = dim == 0 ? 1 : static_cast<std::size_t>(dim);
    check(!__builtin_mul_overflow(bytes, factor, &bytes), "safetensors: the shape of tensor '", name, "' is too large");
  }
  return empty ? 0 : bytes;
}

void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const Metadata& metadata) {
  std::vector<StoredTensor> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const StoredTensor& a, const StoredTensor& b) { return size_of(a.type) > size_of(b.type); });
  detail::SafetensorsHeader header{{}, metadata};
  header.metadata.erase(checksum_key);
  const std::string checksum = checksum_of(ordered, header.metadata);
  header.metadata[checksum_key] = checksum;
  std::set<std::string> names{"__metadata__"};
  std::size_t position = 0;
  for (const StoredTensor& tensor : ordered) {
    check(names.insert(tensor.name).second, "cannot write '", path.string(), "': the name '", tensor.name,
          "' stands for two tensors or is reserved");
    header.entries.push_back({tensor, position, position + tensor.bytes()});
    position += tensor.bytes();
  }
  const std::string text = detail::format_safetensors_header(header);
  const std::uint64_t length = text.size();
  check(length <= detail::max_header_bytes, "cannot write '", path.string(), "': the header would be larger than ",
        detail::max_header_bytes, " bytes; store less metadata");
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text);
  for (const StoredTensor& tensor : ordered) file.write(tensor.data, tensor.bytes());
  file.commit();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  const auto memory = std::make_shared<MappedTensors>(path);
  memory_ = memory;
  const std::span<const std::byte> bytes = memory->file.bytes();
  const std::string file = path.string();
  constexpr std::size_t prefix = detail::header_length_bytes;
  check(bytes.size() >= prefix, file, ": not a safetensors file: only ", bytes.size(), " bytes long");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  check(length >= 2 && length <= detail::max_header_bytes, file,
        ": not a safetensors file: its first 8 bytes give a header of ", length, " bytes");
  check(length <= bytes.size() - prefix, file, ": the header has ", length, " bytes but the file ends after ",
        bytes.size() - prefix, "; the file is cut off");
  const char* text = reinterpret_cast<const char*>(bytes.data()) + prefix;
  check(*text == '{', file, ": not a safetensors file: the header does not start with '{'");
  const std::span<const std::byte> data = bytes.subspan(prefix + length);
  detail::SafetensorsHeader header = detail::parse_safetensors_header({text, length}, data.size(), file);
  for (detail::HeaderEntry& entry : header.entries) {
    entry.tensor.data =
        memory->aligned(data.data() + entry.first, entry.last - entry.first, size_of(entry.tensor.type));
    position_[entry.tensor.name] = tensors_.size();
    tensors_.push_back(std::move(entry.tensor));
  }
  metadata_ = std::move(header.metadata);
  if (const auto found = metadata_.find(checksum_key); found != metadata_.end()) {
    checksum_ = found->second;
    metadata_.erase(found);
  }
}

const StoredTensor& SafetensorsFile::tensor(std::string_view name) const {
  const auto found = position_.find(std::string(name));
  check(found != position_.end(), path_.string(), ": has no tensor '", name, "'");
  return tensors_[found->second];
}

const std::string& SafetensorsFile::text_of(const std::string& key) const {
  const auto found = metadata_.find(key);
  check(found != metadata_.end(), path_.string(), ": has no metadata entry '", key, "'");
  return found->second;
}

void SafetensorsFile::verify() const {
  if (!checksum_) return;
  check(*checksum_ == checksum_of(tensors_, metadata_), path_.string(),
        ": the data does not match its checksum; the file is damaged");
}

}  // namespace kagami
