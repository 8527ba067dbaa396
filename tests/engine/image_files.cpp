#include "tests/engine/image_files.h"

#include <spng.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
// jpeglib.h needs size_t and FILE from the headers above it.
#include <jpeglib.h>

namespace kagami::testing {
namespace {

std::string exif_tiff(int orientation, bool big_endian) {
  const auto number = [&](unsigned value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * (big_endian ? bytes - 1 - i : i));
    return text;
  };
  // Two entries: an unrelated one first (image width), then the orientation.
  return std::string(big_endian ? "MM" : "II") + number(42, 2) + number(8, 4) + number(2, 2) + number(0x0100, 2) +
         number(3, 2) + number(1, 4) + number(7, 2) + number(0, 2) + number(0x0112, 2) + number(3, 2) + number(1, 4) +
         number(static_cast<unsigned>(orientation), 2) + number(0, 2) + number(0, 4);
}

void require(int error) {
  if (error != 0) throw std::runtime_error(spng_strerror(error));
}

}  // namespace

Image smooth_image(int height, int width, int seed) {
  Image image{height, width, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.pixels.push_back(static_cast<std::uint8_t>(40 + (160 * x) / width));
      image.pixels.push_back(static_cast<std::uint8_t>(40 + (160 * y) / height));
      image.pixels.push_back(static_cast<std::uint8_t>(30 + (seed * 37) % 200));
    }
  }
  return image;
}

std::string jpeg_bytes(const Image& image, const JpegOptions& options) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.input_components = options.components;
  info.in_color_space = options.components == 1 ? JCS_GRAYSCALE : options.components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, options.quality, TRUE);
  if (options.progressive) jpeg_simple_progression(&info);
  if (options.components == 4) info.write_Adobe_marker = TRUE;
  jpeg_start_compress(&info, TRUE);
  if (options.orientation != 0) {
    const std::string marker = std::string("Exif\0\0", 6) + exif_tiff(options.orientation, options.big_endian_exif);
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(marker.data()),
                      static_cast<unsigned>(marker.size()));
  }
  std::vector<unsigned char> row;
  for (int y = 0; y < image.height; ++y) {
    row.clear();
    for (int x = 0; x < image.width; ++x) {
      const std::uint8_t* pixel = image.pixels.data() + 3 * (static_cast<std::size_t>(y) * image.width + x);
      row.insert(row.end(), pixel, pixel + std::min(options.components, 3));
      if (options.components == 4) row.push_back(255);
    }
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&info, &pointer, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

std::string png_bytes(const PngSource& source) {
  spng_ctx* context = spng_ctx_new(SPNG_CTX_ENCODER);
  require(spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1));
  spng_ihdr header{};
  header.height = static_cast<std::uint32_t>(source.height);
  header.width = static_cast<std::uint32_t>(source.width);
  header.color_type = static_cast<std::uint8_t>(source.color_type);
  header.bit_depth = static_cast<std::uint8_t>(source.bit_depth);
  header.interlace_method = source.interlaced ? 1 : 0;
  require(spng_set_ihdr(context, &header));
  if (!source.palette.empty()) {
    spng_plte palette{};
    palette.n_entries = static_cast<std::uint32_t>(source.palette.size() / 3);
    for (std::uint32_t i = 0; i < palette.n_entries; ++i) {
      palette.entries[i].red = static_cast<std::uint8_t>(source.palette[3 * i]);
      palette.entries[i].green = static_cast<std::uint8_t>(source.palette[3 * i + 1]);
      palette.entries[i].blue = static_cast<std::uint8_t>(source.palette[3 * i + 2]);
    }
    require(spng_set_plte(context, &palette));
  }
  if (!source.palette_alpha.empty()) {
    spng_trns alpha{};
    alpha.n_type3_entries = static_cast<std::uint32_t>(source.palette_alpha.size());
    std::memcpy(alpha.type3_alpha, source.palette_alpha.data(), source.palette_alpha.size());
    require(spng_set_trns(context, &alpha));
  }
  std::string tiff = exif_tiff(source.orientation, true);
  if (source.orientation != 0) {
    spng_exif exif{tiff.size(), tiff.data()};
    require(spng_set_exif(context, &exif));
  }
  require(spng_encode_image(context, source.samples.data(), source.samples.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE));
  std::size_t size = 0;
  int error = 0;
  void* buffer = spng_get_png_buffer(context, &size, &error);
  require(error);
  std::string bytes(static_cast<char*>(buffer), size);
  std::free(buffer);
  spng_ctx_free(context);
  return bytes;
}

std::string png_bytes(const Image& image) {
  return png_bytes(
      {image.height, image.width, 2, 8, std::string(image.pixels.begin(), image.pixels.end()), false, {}, {}, 0});
}

}  // namespace kagami::testing
