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

/// Covers what a reader uses: names, types, shapes, other metadata and, through a checksum of each tensor, the data;
/// not the JSON's spelling.
class FileChecksum {
 public:
  explicit FileChecksum(const Metadata& metadata) {
    add_number(metadata.size());
    for (const auto& [key, value] : metadata) {
      add_text(key);
      add_text(value);
    }
  }
  void add(const StoredTensor& tensor, std::uint64_t data_checksum) {
    add_text(tensor.name);
    add_text(name_of(tensor.type));
    add_number(tensor.shape.size());
    for (const std::int64_t dim : tensor.shape) add_number(static_cast<std::uint64_t>(dim));
    add_number(data_checksum);
  }
  std::string digits() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(sum_.value()));
    return digits;
  }

 private:
  void add_number(std::uint64_t number) { sum_.add(&number, sizeof number); }
  void add_text(std::string_view text) {
    add_number(text.size());
    sum_.add(text);
  }
  Checksum sum_;
};

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

struct SafetensorsWriter::State {
  State(const std::filesystem::path& file_path, std::size_t header_room) : path(file_path.string()), file(file_path) {
    const std::string room = detail::format_safetensors_header({}, header_room);
    check(room.size() <= detail::max_header_bytes, "cannot write '", path, "': its header would be larger than ",
          detail::max_header_bytes, " bytes; store less metadata");
    room_bytes = room.size();
    const std::uint64_t length = room_bytes;
    file.write(&length, sizeof length);
    file.write(room);
  }

  std::string path;
  AtomicFile file;
  std::size_t room_bytes = 0, position = 0;
  detail::SafetensorsHeader header;
  std::set<std::string> names{"__metadata__"};
  std::vector<std::uint64_t> checksums;
  Checksum checksum;
};

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::size_t header_room)
    : state_(std::make_unique<State>(path, header_room)) {}
SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::begin(std::string name, StoredType type) {
  State& s = *state_;
  check(s.names.insert(name).second, "cannot write '", s.path, "': the name '", name,
        "' stands for two tensors or is reserved");
  check(s.position % size_of(type) == 0, "cannot write '", s.path, "': tensor '", name, "' of ", type,
        " would not be aligned; write wider types first");
  s.header.entries.push_back({{std::move(name), type, {}, nullptr}, s.position, s.position});
  s.checksum = {};
}

void SafetensorsWriter::append(const void* data, std::size_t bytes) {
  State& s = *state_;
  s.file.write(data, bytes);
  s.checksum.add(data, bytes);
  s.position += bytes;
}

void SafetensorsWriter::align(std::size_t alignment) {
  const std::string zeros((alignment - state_->position % alignment) % alignment, '\0');
  append(zeros.data(), zeros.size());
}

std::int64_t SafetensorsWriter::tensor_bytes() const {
  return static_cast<std::int64_t>(state_->position - state_->header.entries.back().first);
}

void SafetensorsWriter::end(std::vector<std::int64_t> shape) {
  State& s = *state_;
  detail::HeaderEntry& entry = s.header.entries.back();
  entry.last = s.position;
  entry.tensor.shape = std::move(shape);
  check(entry.tensor.bytes() == entry.last - entry.first, "cannot write '", s.path, "': tensor '", entry.tensor.name,
        "' has ", entry.last - entry.first, " bytes, its shape holds ", entry.tensor.bytes());
  s.checksums.push_back(s.checksum.value());
}

void SafetensorsWriter::commit(const Metadata& metadata) {
  State& s = *state_;
  s.header.metadata = metadata;
  s.header.metadata.erase(checksum_key);
  FileChecksum checksum(s.header.metadata);
  for (std::size_t i = 0; i < s.checksums.size(); ++i) checksum.add(s.header.entries[i].tensor, s.checksums[i]);
  s.header.metadata[checksum_key] = checksum.digits();
  const std::string text = detail::format_safetensors_header(s.header, s.room_bytes);
  check(text.size() == s.room_bytes, "cannot write '", s.path, "': the header needs ", text.size(), " bytes of ",
        s.room_bytes);
  s.file.write_at(detail::header_length_bytes, text.data(), text.size());
  s.file.commit();
}

void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const Metadata& metadata) {
  std::vector<StoredTensor> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const StoredTensor& a, const StoredTensor& b) { return size_of(a.type) > size_of(b.type); });
  detail::SafetensorsHeader header{{}, metadata};  // only its size counts here
  header.metadata[checksum_key] = FileChecksum({}).digits();
  std::size_t position = 0;
  for (const StoredTensor& tensor : ordered) {
    header.entries.push_back({tensor, position, position + tensor.bytes()});
    position += tensor.bytes();
  }
  SafetensorsWriter writer(path, detail::format_safetensors_header(header).size());
  for (const StoredTensor& tensor : ordered) {
    writer.begin(tensor.name, tensor.type);
    writer.append(tensor.data, tensor.bytes());
    writer.end(tensor.shape);
  }
  writer.commit(metadata);
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
  FileChecksum checksum(metadata_);
  for (const StoredTensor& tensor : tensors_) {
    checksum.add(tensor, Checksum().add(tensor.data, tensor.bytes()).value());
  }
  check(*checksum_ == checksum.digits(), path_.string(), ": the data does not match its checksum; the file is damaged");
}

}  // namespace kagami
