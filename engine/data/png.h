#pragma once
// PNG through libspng.
#include <cstdint>
#include <filesystem>
#include <span>

#include "engine/data/image.h"

namespace kagami {

/// Throws InputError with the reason where the data is cut off or damaged.
Image decode_png(std::span<const std::uint8_t> bytes);

/// Writes 8-bit RGB pixels, row after row, as a whole or not at all. Throws like AtomicFile.
void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> pixels, int height, int width);

}  // namespace kagami
