#pragma once
// NumPy's .npy files with a float32 matrix: embeddings for other programs.
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace kagami {

struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<float> values;  ///< row after row
};

/// Writes float32 [rows, columns], as a whole or not at all. Throws like AtomicFile.
void write_npy(const std::filesystem::path& path, std::span<const float> values, std::int64_t rows,
               std::int64_t columns);

/// Reads what write_npy wrote: version 1.0, little-endian float32, C order, two dimensions; InputError otherwise.
Matrix read_npy(const std::filesystem::path& path);

}  // namespace kagami
