#pragma once
// One decoded image, and the files it comes from.
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace kagami {

/// 8-bit RGB, row after row, three bytes a pixel.
struct Image {
  int height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
};

/// Larger images are refused: a small file can claim any size.
constexpr std::int64_t max_image_pixels = 1 << 27;

/// Decodes a JPEG or PNG file's bytes: grey is replicated, alpha blended over white, 16 bits rounded to 8, CMYK
/// converted, EXIF orientation applied. Throws InputError with the reason (not the file's name) where the bytes are
/// neither, cut off or damaged.
Image decode_image(std::span<const std::uint8_t> bytes);

/// Reads and decodes a file. The InputError names it.
Image read_image(const std::filesystem::path& path);

/// Shrinks so that the longer side is `max_side` pixels: each new pixel is the mean of the area it covers, computed in
/// integers, the same on every machine. Smaller images, and all where max_side is 0, come back as they are.
Image shrink(Image image, int max_side);

/// Turns and mirrors the stored pixels as the EXIF orientation 1..8 says; other values change nothing.
Image oriented(Image image, int orientation);

/// The orientation tag of EXIF data, which starts with its TIFF header; 1 (upright) where there is none.
int exif_orientation(std::span<const std::uint8_t> tiff);

}  // namespace kagami
