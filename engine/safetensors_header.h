#pragma once
// The JSON header of a safetensors file, parsed and validated. Used by safetensors.cpp only.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/safetensors.h"

namespace kagami::detail {

struct HeaderEntry {
  StoredTensor tensor;              ///< without data
  std::size_t first = 0, last = 0;  ///< bytes of the data section
};

struct SafetensorsHeader {
  std::vector<HeaderEntry> entries;  ///< by position
  Metadata metadata;
};

/// `file` starts the error messages. Checks names, types, shapes, sizes, and that the entries cover the `data_bytes`
/// bytes after the header exactly.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::size_t data_bytes, const std::string& file);

/// Entries in their order; padded with spaces to `minimum` bytes at least, and so that the data after it starts at a
/// multiple of 64 in the file.
std::string format_safetensors_header(const SafetensorsHeader& header, std::size_t minimum = 0);

constexpr std::size_t header_length_bytes = 8;
constexpr std::size_t max_header_bytes = 100'000'000;  ///< the limit of the format's own library

}  // namespace kagami::detail
