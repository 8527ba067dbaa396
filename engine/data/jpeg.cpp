#include "engine/data/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <string_view>
// jpeglib.h needs size_t and FILE from the headers above it.
#include <jerror.h>
#include <jpeglib.h>

#include "engine/error.h"

namespace kagami {
namespace {

constexpr int max_scans = 500;  // of a progressive file: more only serve to keep a decoder busy
constexpr std::string_view exif_magic{"Exif\0\0", 6};

/// libjpeg reports errors by a callback that must not return: it jumps back to where `jump` was set.
struct ErrorHandler {
  jpeg_error_mgr base{};
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX] = {};

  static ErrorHandler& of(j_common_ptr info) { return *reinterpret_cast<ErrorHandler*>(info->err); }
  [[noreturn]] static void fail(j_common_ptr info) {
    ErrorHandler& self = of(info);
    self.base.format_message(info, self.message);
    std::longjmp(self.jump, 1);
  }
  /// Warnings mean that pixels are missing or wrong, but for those about what stands around the image data.
  static void on_message(j_common_ptr info, int level) {
    const int code = info->err->msg_code;
    const bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
    if (level < 0 && !harmless) fail(info);
  }
  static void print_nothing(j_common_ptr) {}
};

struct ScanLimit {
  jpeg_progress_mgr base{};
  static void on_progress(j_common_ptr info) {
    const auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
    if (decoder->input_scan_number <= max_scans) return;
    ErrorHandler& errors = ErrorHandler::of(info);
    std::snprintf(errors.message, sizeof errors.message, "more than %d scans", max_scans);
    std::longjmp(errors.jump, 1);
  }
};

class Decoder {
 public:
  Decoder() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = ErrorHandler::fail;
    errors_.base.emit_message = ErrorHandler::on_message;
    errors_.base.output_message = ErrorHandler::print_nothing;
    limit_.base.progress_monitor = ScanLimit::on_progress;
  }
  ~Decoder() { jpeg_destroy_decompress(&info_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  Image decode(std::span<const std::uint8_t> bytes) {
    Image image;
    check(read_header(bytes), errors_.message);
    image.height = static_cast<int>(info_.image_height);
    image.width = static_cast<int>(info_.image_width);
    check(std::int64_t{image.height} * image.width <= max_image_pixels, "it claims ", image.height, "x", image.width,
          " pixels, more than the limit of ", max_image_pixels);
    image.pixels.resize(static_cast<std::size_t>(image.height) * image.width * 3);
    const int orientation = this->orientation();  // before libjpeg forgets the markers at the end of the image
    check(read_pixels(image.pixels.data()), errors_.message);
    return oriented(std::move(image), orientation);
  }

 private:
  // In functions that set `jump` nothing with a destructor may live: the jump would pass it over.
  bool read_header(std::span<const std::uint8_t> bytes) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.progress = &limit_.base;
    jpeg_mem_src(&info_, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  bool read_pixels(std::uint8_t* pixels) {
    if (setjmp(errors_.jump) != 0) return false;
    const bool cmyk = info_.num_components == 4;
    info_.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info_);
    const std::size_t width = info_.output_width;
    JSAMPARRAY inks = nullptr;
    if (cmyk) {
      inks = info_.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&info_), JPOOL_IMAGE,
                                     static_cast<JDIMENSION>(width * 4), 1);
    }
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + info_.output_scanline * width * 3;
      jpeg_read_scanlines(&info_, cmyk ? inks : &row, 1);
      if (cmyk) inks_to_rgb(inks[0], width, row);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  /// Adobe's programs store inks inverted: 255 is no ink.
  void inks_to_rgb(const std::uint8_t* inks, std::size_t width, std::uint8_t* rgb) const {
    const bool inverted = info_.saw_Adobe_marker;
    const auto paper = [&](std::uint8_t ink) { return inverted ? int{ink} : 255 - ink; };
    for (std::size_t x = 0; x < width; ++x, inks += 4) {
      for (int c = 0; c < 3; ++c) *rgb++ = static_cast<std::uint8_t>((paper(inks[c]) * paper(inks[3]) + 127) / 255);
    }
  }

  int orientation() const {
    for (const auto* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      const std::span<const std::uint8_t> data{marker->data, marker->data_length};
      const std::string_view text{reinterpret_cast<const char*>(data.data()), data.size()};
      if (text.starts_with(exif_magic)) return exif_orientation(data.subspan(exif_magic.size()));
    }
    return 1;
  }

  ErrorHandler errors_;
  ScanLimit limit_;
  jpeg_decompress_struct info_{};
};

}  // namespace

Image decode_jpeg(std::span<const std::uint8_t> bytes) { return Decoder().decode(bytes); }

}  // namespace kagami
