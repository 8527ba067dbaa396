#pragma once
// Safetensors files: named tensors and text in one file that other programs read too. Weights, checkpoints, packed
// images. Layout: 8 bytes header length, a JSON header, the data without gaps.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"
#include "engine/tensor.h"
#include "kernels/types.h"

namespace kagami {

/// Element types that the format names; tensors of the engine have only some of them (see dtype_of_stored).
enum class StoredType : std::uint8_t {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};
std::size_t size_of(StoredType type);
const char* name_of(StoredType type);  ///< "F32", as files spell it
std::ostream& operator<<(std::ostream& out, StoredType type);
StoredType stored_type_of(DType dtype);
std::optional<DType> dtype_of_stored(StoredType type);  ///< empty where the engine has no such type

template <class T>
inline constexpr StoredType stored_type = [] { static_assert(sizeof(T) == 0, "not a stored type"); }();
template <>
inline constexpr StoredType stored_type<float> = StoredType::f32;
template <>
inline constexpr StoredType stored_type<double> = StoredType::f64;
template <>
inline constexpr StoredType stored_type<bf16> = StoredType::bf16;
template <>
inline constexpr StoredType stored_type<std::uint8_t> = StoredType::u8;
template <>
inline constexpr StoredType stored_type<std::int32_t> = StoredType::i32;
template <>
inline constexpr StoredType stored_type<std::int64_t> = StoredType::i64;
template <>
inline constexpr StoredType stored_type<std::uint64_t> = StoredType::u64;

/// A tensor to write, or one that was read. `data` is not owned.
struct StoredTensor {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;

  std::size_t bytes() const;  ///< throws InputError where the shape is negative or too large to count
};

template <class T>
StoredTensor store(std::string name, std::vector<std::int64_t> shape, std::span<const T> values) {
  StoredTensor tensor{std::move(name), stored_type<T>, std::move(shape), values.data()};
  check(tensor.bytes() == values.size_bytes(), "safetensors: tensor '", tensor.name, "' has ", values.size(),
        " values, its shape holds ", tensor.bytes() / sizeof(T));
  return tensor;
}

using Metadata = std::map<std::string, std::string>;

/// Writes the file as a whole or not at all (AtomicFile), with a checksum in the metadata. Wider element types come
/// first, otherwise in the given order: then every tensor is aligned without the gaps that the format forbids.
void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const Metadata& metadata = {});

/// Writes a file tensor after tensor where sizes are known only in the end. The data starts after `header_room` bytes,
/// which the header, formatted in the end, must fit. Each tensor must start at a multiple of its element's size: write
/// wider types first, or pad (align). What is not committed is removed.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::size_t header_room);
  ~SafetensorsWriter();
  void begin(std::string name, StoredType type);
  void append(const void* data, std::size_t bytes);
  /// Zero bytes, which belong to the tensor, up to a multiple of `alignment`.
  void align(std::size_t alignment);
  std::int64_t tensor_bytes() const;  ///< of the tensor begun last
  void end(std::vector<std::int64_t> shape);
  void commit(const Metadata& metadata);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// An open file: the data is mapped, not read. Opening validates the whole header and that the data is there; a damaged
/// file is an InputError that names file, tensor and reason.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }  ///< in the order of their data
  const Metadata& metadata() const { return metadata_; }                 ///< without the checksum
  bool contains(std::string_view name) const { return position_.contains(std::string(name)); }
  const StoredTensor& tensor(std::string_view name) const;   ///< throws InputError where there is none
  const std::string& text_of(const std::string& key) const;  ///< a metadata entry; throws where there is none
  bool has_checksum() const { return checksum_.has_value(); }
  /// Reads all data and throws InputError unless it matches the checksum. Files of other programs have none: passes.
  void verify() const;

  /// The values of a tensor, which must have T's type. They live as long as this object or memory().
  template <class T>
  std::span<const T> values(std::string_view name) const {
    const StoredTensor& found = tensor(name);
    check(found.type == stored_type<T>, path_.string(), ": tensor '", found.name, "' is ", found.type, ", expected ",
          stored_type<T>);
    return {static_cast<const T*>(found.data), found.bytes() / sizeof(T)};
  }
  /// Keeps the data alive after this object is gone.
  std::shared_ptr<const void> memory() const { return memory_; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const void> memory_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::size_t> position_;
  Metadata metadata_;
  std::optional<std::string> checksum_;
};

}  // namespace kagami
