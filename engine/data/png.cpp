#include "engine/data/png.h"

#include <spng.h>

#include <cstdlib>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/atomic_file.h"
#include "engine/error.h"

namespace kagami {
namespace {

constexpr std::size_t max_chunk_bytes = 64 << 20;  // of what is not pixels: text, colour profiles
constexpr std::string_view end_chunk{"\0\0\0\0IEND\xAE\x42\x60\x82", 12};
constexpr int max_side = 1 << 16;

struct ContextDeleter {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, ContextDeleter>;

Context new_context(int flags) {
  Context context(spng_ctx_new(flags));
  if (!context) throw std::bad_alloc();
  return context;
}

void require(int error) { check(error == 0, "PNG: ", spng_strerror(error)); }

spng_ihdr read_header(spng_ctx* context, std::span<const std::uint8_t> bytes) {
  require(spng_set_image_limits(context, max_side, max_side));
  require(spng_set_chunk_limits(context, max_chunk_bytes, max_chunk_bytes));
  require(spng_set_png_buffer(context, bytes.data(), bytes.size()));
  spng_ihdr header{};
  require(spng_get_ihdr(context, &header));
  check(std::int64_t{header.height} * header.width <= max_image_pixels, "it claims ", header.height, "x", header.width,
        " pixels, more than the limit of ", max_image_pixels);
  return header;
}

/// RGBA of either depth as 8-bit RGB over white.
template <class Sample>
void blend_over_white(const std::vector<Sample>& rgba, std::vector<std::uint8_t>& rgb) {
  constexpr std::uint64_t full = std::numeric_limits<Sample>::max();
  for (std::size_t i = 0, j = 0; j < rgb.size(); i += 4) {
    const std::uint64_t alpha = rgba[i + 3];
    for (int c = 0; c < 3; ++c) {
      const std::uint64_t blended = rgba[i + c] * alpha + full * (full - alpha);
      rgb[j++] = static_cast<std::uint8_t>((blended * 255 + full * full / 2) / (full * full));
    }
  }
}

template <class Sample>
void decode_pixels(spng_ctx* context, int format, std::vector<std::uint8_t>& rgb) {
  std::vector<Sample> rgba(rgb.size() / 3 * 4);
  require(spng_decode_image(context, rgba.data(), rgba.size() * sizeof(Sample), format, SPNG_DECODE_TRNS));
  blend_over_white(rgba, rgb);
}

}  // namespace

Image decode_png(std::span<const std::uint8_t> bytes) {
  const Context context = new_context(0);
  const spng_ihdr header = read_header(context.get(), bytes);
  Image image{static_cast<int>(header.height), static_cast<int>(header.width), {}};
  image.pixels.resize(static_cast<std::size_t>(image.height) * image.width * 3);
  if (header.bit_depth == 16) {
    decode_pixels<std::uint16_t>(context.get(), SPNG_FMT_RGBA16, image.pixels);
  } else {
    decode_pixels<std::uint8_t>(context.get(), SPNG_FMT_RGBA8, image.pixels);
  }
  require(spng_decode_chunks(context.get()));
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  check(text.rfind(end_chunk) != text.npos, "PNG: the end is missing; the file is cut off");
  spng_exif exif{};
  const bool has_exif = spng_get_exif(context.get(), &exif) == 0;
  const std::span<const std::uint8_t> tiff{reinterpret_cast<const std::uint8_t*>(exif.data), exif.length};
  return oriented(std::move(image), has_exif ? exif_orientation(tiff) : 1);
}

void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> pixels, int height, int width) {
  check(height > 0 && width > 0 && pixels.size() == static_cast<std::size_t>(height) * width * 3, "write_png '",
        path.string(), "': ", pixels.size(), " bytes for ", height, "x", width, " RGB pixels");
  const Context context = new_context(SPNG_CTX_ENCODER);
  require(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1));
  spng_ihdr header{};
  header.height = static_cast<std::uint32_t>(height);
  header.width = static_cast<std::uint32_t>(width);
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  header.bit_depth = 8;
  require(spng_set_ihdr(context.get(), &header));
  require(spng_encode_image(context.get(), pixels.data(), pixels.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE));
  std::size_t size = 0;
  int error = 0;
  const std::unique_ptr<void, void (*)(void*)> encoded(spng_get_png_buffer(context.get(), &size, &error), std::free);
  require(error);
  AtomicFile file(path);
  file.write(encoded.get(), size);
  file.commit();
}

}  // namespace kagami
