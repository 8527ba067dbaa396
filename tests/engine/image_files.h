#pragma once
// JPEG and PNG files that tests make themselves.
#include <cstdint>
#include <string>

#include "engine/data/image.h"

namespace kagami::testing {

/// A smooth colourful image: what JPEG keeps well.
Image smooth_image(int height, int width, int seed = 0);

struct JpegOptions {
  int quality = 95;
  int components = 3;  ///< 1: grey (the red channel), 3: RGB, 4: CMYK without black, as Adobe stores it
  bool progressive = false;
  int orientation = 0;  ///< an EXIF marker with it, where not 0
  bool big_endian_exif = false;
};
std::string jpeg_bytes(const Image& image, const JpegOptions& options = {});

/// Samples of any PNG colour type and depth, as they are stored (16-bit samples: host order; below 8 bits: packed).
struct PngSource {
  int height = 0, width = 0, color_type = 2, bit_depth = 8;
  std::string samples;
  bool interlaced = false;
  std::string palette;        ///< RGB triples
  std::string palette_alpha;  ///< one byte an entry
  int orientation = 0;
};
std::string png_bytes(const PngSource& source);
std::string png_bytes(const Image& image);

}  // namespace kagami::testing
