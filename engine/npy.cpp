#include "engine/npy.h"

#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "engine/atomic_file.h"
#include "engine/error.h"
#include "engine/mapped_file.h"

namespace kagami {
namespace {

constexpr std::string_view magic{"\x93NUMPY\x01\x00", 8};  // with the version, 1.0
constexpr std::size_t length_bytes = 2;
constexpr std::size_t alignment = 64;
constexpr std::string_view before_shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
constexpr std::string_view after_shape = "), }";

/// Takes `token` off the front of `text`.
bool take(std::string_view& text, std::string_view token) {
  if (!text.starts_with(token)) return false;
  text.remove_prefix(token.size());
  return true;
}

bool take(std::string_view& text, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc() && number >= 0;
}

bool take_header(std::string_view text, std::int64_t& rows, std::int64_t& columns) {
  return take(text, before_shape) && take(text, rows) && take(text, ", ") && take(text, columns) &&
         take(text, after_shape) && text.find_first_not_of(" \n") == text.npos;
}

}  // namespace

void write_npy(const std::filesystem::path& path, std::span<const float> values, std::int64_t rows,
               std::int64_t columns) {
  check(rows >= 0 && columns >= 0 && values.size() == static_cast<std::size_t>(rows * columns), "write_npy '",
        path.string(), "': ", values.size(), " values for [", rows, ",", columns, "]");
  std::string header = text(before_shape, rows, ", ", columns, after_shape);
  const std::size_t used = magic.size() + length_bytes + header.size() + 1;
  header.append((alignment - used % alignment) % alignment, ' ');
  header += '\n';
  const auto length = static_cast<std::uint16_t>(header.size());
  AtomicFile file(path);
  file.write(magic);
  file.write(&length, length_bytes);
  file.write(header);
  file.write(values.data(), values.size_bytes());
  file.commit();
}

Matrix read_npy(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string name = path.string();
  const std::string_view bytes{reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  check(bytes.starts_with(magic) && bytes.size() >= magic.size() + length_bytes, name,
        ": not an .npy file of version 1.0");
  std::uint16_t length = 0;
  std::memcpy(&length, bytes.data() + magic.size(), length_bytes);
  const std::size_t start = magic.size() + length_bytes + length;
  check(bytes.size() >= start, name, ": cut off inside the header");
  const std::string header(bytes.substr(magic.size() + length_bytes, length));
  Matrix matrix;
  check(take_header(header, matrix.rows, matrix.columns), name,
        ": expected a float32 matrix in C order, the header is ", header.substr(0, header.find('\n')));
  std::size_t count = 0;
  check(!__builtin_mul_overflow(matrix.rows, matrix.columns, &count) && count <= bytes.size(), name, ": [", matrix.rows,
        ",", matrix.columns, "] does not fit into the file");
  check(bytes.size() - start == count * sizeof(float), name, ": [", matrix.rows, ",", matrix.columns, "] needs ",
        count * sizeof(float), " bytes of data, the file has ", bytes.size() - start);
  matrix.values.resize(count);
  if (count > 0) std::memcpy(matrix.values.data(), bytes.data() + start, count * sizeof(float));
  return matrix;
}

}  // namespace kagami
