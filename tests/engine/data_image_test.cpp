#include "engine/data/image.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/data/png.h"
#include "engine/error.h"
#include "tests/engine/image_files.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::jpeg_bytes;
using testing::JpegOptions;
using testing::message_of;
using testing::png_bytes;
using testing::PngSource;
using testing::smooth_image;
using testing::TemporaryFolder;
using testing::write_bytes;
using Pixels = std::vector<std::uint8_t>;

Image decode(const std::string& bytes) {
  return decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

/// A copy whose end is the end of its memory: the sanitizer sees any reading beyond.
Image decode_exact(std::string_view bytes) { return decode_image(Pixels(bytes.begin(), bytes.end())); }

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.width, b.width);
  if (a.pixels.size() != b.pixels.size()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

TEST(DataImage, JpegIsCloseToWhatWasEncoded) {
  const Image image = smooth_image(37, 53, 3);
  EXPECT_LE(largest_difference(decode(jpeg_bytes(image)), image), 6);
  EXPECT_LE(largest_difference(decode(jpeg_bytes(image, {95, 3, true})), image), 6);
  EXPECT_LE(largest_difference(decode(jpeg_bytes(image, {95, 4})), image), 12);
}

TEST(DataImage, GreyJpegIsReplicated) {
  const Image image = smooth_image(16, 24);
  const Image grey = decode(jpeg_bytes(image, {95, 1}));
  ASSERT_EQ(grey.pixels.size(), image.pixels.size());
  for (std::size_t i = 0; i < grey.pixels.size(); i += 3) {
    ASSERT_NEAR(grey.pixels[i], image.pixels[i], 4);
    ASSERT_EQ(grey.pixels[i], grey.pixels[i + 1]);
    ASSERT_EQ(grey.pixels[i], grey.pixels[i + 2]);
  }
}

TEST(DataImage, OrientationsTurnAndMirror) {
  // 2 x 3 pixels: 1 2 3 / 4 5 6.
  Image image{2, 3, {}};
  for (std::uint8_t i = 1; i <= 6; ++i) image.pixels.insert(image.pixels.end(), 3, i);
  const struct {
    int orientation;
    int height;
    Pixels expected;
  } cases[] = {{0, 2, {1, 2, 3, 4, 5, 6}}, {1, 2, {1, 2, 3, 4, 5, 6}}, {2, 2, {3, 2, 1, 6, 5, 4}},
               {3, 2, {6, 5, 4, 3, 2, 1}}, {4, 2, {4, 5, 6, 1, 2, 3}}, {5, 3, {1, 4, 2, 5, 3, 6}},
               {6, 3, {4, 1, 5, 2, 6, 3}}, {7, 3, {6, 3, 5, 2, 4, 1}}, {8, 3, {3, 6, 2, 5, 1, 4}},
               {9, 2, {1, 2, 3, 4, 5, 6}}};
  for (const auto& c : cases) {
    const Image turned = oriented(image, c.orientation);
    EXPECT_EQ(turned.height, c.height) << c.orientation;
    Pixels first_channel;
    for (std::size_t i = 0; i < turned.pixels.size(); i += 3) first_channel.push_back(turned.pixels[i]);
    EXPECT_EQ(first_channel, c.expected) << c.orientation;
  }
}

TEST(DataImage, ExifOrientationIsAppliedToJpegAndPng) {
  const Image image = smooth_image(24, 16, 1);
  const Image upright = decode(jpeg_bytes(image));
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {false, true}) {
      const Image turned = decode(jpeg_bytes(image, {95, 3, false, orientation, big_endian}));
      EXPECT_EQ(largest_difference(turned, oriented(upright, orientation)), 0) << orientation;
    }
    PngSource png{24, 16, 2, 8, std::string(image.pixels.begin(), image.pixels.end()), false, {}, {}, orientation};
    EXPECT_EQ(largest_difference(decode(png_bytes(png)), oriented(image, orientation)), 0) << orientation;
  }
}

TEST(DataImage, DamagedExifIsUpright) {
  const Pixels tiff{'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0};
  EXPECT_EQ(exif_orientation(tiff), 6);
  for (std::size_t cut = 0; cut < 20; ++cut) {
    EXPECT_EQ(exif_orientation(std::span(tiff).first(cut)), 1) << cut;
  }
  Pixels far = tiff;
  far[4] = far[5] = far[6] = far[7] = 0xFF;
  EXPECT_EQ(exif_orientation(far), 1);
}

TEST(DataImage, PngColourTypesAndDepths) {
  const auto pixels = [](const PngSource& source) { return decode(png_bytes(source)).pixels; };
  EXPECT_EQ(pixels({1, 2, 2, 8, "\x01\x02\x03\xFD\xFE\xFF", false, {}, {}, 0}), (Pixels{1, 2, 3, 253, 254, 255}));
  EXPECT_EQ(pixels({1, 2, 0, 8, std::string("\x00\x80", 2), false, {}, {}, 0}), (Pixels{0, 0, 0, 128, 128, 128}));
  EXPECT_EQ(pixels({1, 4, 0, 1, "\xA0", false, {}, {}, 0}), (Pixels{255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0}));
  EXPECT_EQ(pixels({1, 2, 0, 2, "\x60", false, {}, {}, 0}), (Pixels{85, 85, 85, 170, 170, 170}));
  EXPECT_EQ(pixels({1, 2, 0, 4, "\x1F", false, {}, {}, 0}), (Pixels{17, 17, 17, 255, 255, 255}));
  EXPECT_EQ(pixels({1, 2, 3, 8, std::string("\x01\x00", 2), false, "\x0A\x0B\x0C\x14\x15\x16", {}, 0}),
            (Pixels{20, 21, 22, 10, 11, 12}));
}

TEST(DataImage, PngAlphaIsBlendedOverWhite) {
  const auto pixels = [](const PngSource& source) { return decode(png_bytes(source)).pixels; };
  EXPECT_EQ(pixels({1, 2, 6, 8, std::string("\x64\x64\x64\x00\x64\x64\x64\xFF", 8), false, {}, {}, 0}),
            (Pixels{255, 255, 255, 100, 100, 100}));
  // 100 at 51/255: 100·0.2 + 255·0.8 = 224.
  EXPECT_EQ(pixels({1, 1, 4, 8, "\x64\x33", false, {}, {}, 0}), (Pixels{224, 224, 224}));
  EXPECT_EQ(
      pixels({1, 2, 3, 8, std::string("\x00\x01", 2), false, "\x0A\x0B\x0C\x14\x15\x16", std::string(1, '\0'), 0}),
      (Pixels{255, 255, 255, 20, 21, 22}));
}

TEST(DataImage, SixteenBitPngIsRoundedToEight) {
  const std::uint16_t samples[] = {0, 65535, 257 * 100, 257 * 100 + 128, 257 * 100 + 129, 127};
  const std::string bytes(reinterpret_cast<const char*>(samples), sizeof samples);
  EXPECT_EQ(decode(png_bytes({1, 2, 2, 16, bytes, false, {}, {}, 0})).pixels, (Pixels{0, 255, 100, 100, 101, 0}));
  const Pixels grey = decode(png_bytes({1, 6, 0, 16, bytes, false, {}, {}, 0})).pixels;
  EXPECT_EQ(grey, (Pixels{0, 0, 0, 255, 255, 255, 100, 100, 100, 100, 100, 100, 101, 101, 101, 0, 0, 0}));
}

TEST(DataImage, WritesPngThatItReads) {
  const TemporaryFolder folder;
  const Image image = smooth_image(11, 7, 2);
  write_png(folder / "a.png", image.pixels, image.height, image.width);
  EXPECT_EQ(largest_difference(read_image(folder / "a.png"), image), 0);
  expect_message(message_of<InputError>([&] { write_png(folder / "a.png", image.pixels, 11, 8); }), {"a.png", "11x8"});
}

TEST(DataImage, CutAtAnyByteIsRefused) {
  for (const std::string& bytes : {jpeg_bytes(smooth_image(20, 20), {80}),
                                   jpeg_bytes(smooth_image(20, 20), {80, 3, true}), png_bytes(smooth_image(20, 20))}) {
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      const std::string_view part = std::string_view(bytes).substr(0, cut);
      const std::string message = message_of<InputError>([&] { decode_exact(part); });
      EXPECT_EQ(message.find('\n'), std::string::npos) << cut << " " << message;
      ASSERT_FALSE(message.empty()) << cut << " of " << bytes.size();
    }
  }
}

TEST(DataImage, FlippedBytesNeverCrash) {
  for (const std::string& bytes : {jpeg_bytes(smooth_image(12, 12), {80, 3, false, 6}),
                                   jpeg_bytes(smooth_image(12, 12), {80, 3, true}), png_bytes(smooth_image(12, 12))}) {
    for (std::size_t position = 0; position < bytes.size(); ++position) {
      for (const unsigned char flip : {0x01, 0x10, 0x80, 0xFF}) {
        std::string damaged = bytes;
        damaged[position] = static_cast<char>(damaged[position] ^ flip);
        try {
          const Image image = decode_exact(damaged);
          ASSERT_EQ(image.pixels.size(), static_cast<std::size_t>(image.height) * image.width * 3);
        } catch (const InputError& error) {
          ASSERT_NE(std::string_view(error.what()), "");
        }
      }
    }
  }
}

TEST(DataImage, WhatIsNoImageIsRefusedWithItsName) {
  const TemporaryFolder folder;
  write_bytes(folder / "notes.jpg", "these are notes\n");
  write_bytes(folder / "empty.png", "");
  expect_message(message_of<InputError>([&] { read_image(folder / "notes.jpg"); }),
                 {"notes.jpg", "neither a JPEG nor a PNG"});
  expect_message(message_of<InputError>([&] { read_image(folder / "empty.png"); }), {"empty.png", "empty"});
  expect_message(message_of<InputError>([&] { read_image(folder / "none.png"); }), {"none.png", "No such file"});
  expect_message(message_of<InputError>([&] { read_image(folder.path()); }), {"not a regular file"});
}

TEST(DataImage, AClaimOfManyPixelsIsRefusedBeforeMemoryIsTaken) {
  std::string png = png_bytes(smooth_image(4, 4));
  png.replace(16, 8, std::string("\x00\x00\xEA\x60\x00\x00\xEA\x60", 8));  // 60000 x 60000, the CRC left wrong
  EXPECT_THROW(decode(png), InputError);
  std::string jpeg = jpeg_bytes(smooth_image(4, 4));
  const std::size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xEA\x60\xEA\x60");
  expect_message(message_of<InputError>([&] { decode(jpeg); }), {"60000x60000", "limit"});
}

TEST(DataImage, ShrinkingAveragesAreasExactly) {
  const Image image = smooth_image(30, 50, 4);
  const Image small = shrink(image, 7);
  ASSERT_EQ(small.width, 7);
  ASSERT_EQ(small.height, 4);
  const auto overlap = [](double first, double last, int i) {
    return std::max(0.0, std::min(last, i + 1.0) - std::max(first, static_cast<double>(i)));
  };
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 7; ++x) {
      double sum = 0;
      for (int i = 0; i < 30; ++i) {
        for (int j = 0; j < 50; ++j) {
          sum += overlap(y * 30 / 4.0, (y + 1) * 30 / 4.0, i) * overlap(x * 50 / 7.0, (x + 1) * 50 / 7.0, j) *
                 image.pixels[(i * 50 + j) * 3];
        }
      }
      const double mean = sum / (30 / 4.0) / (50 / 7.0);
      ASSERT_NEAR(small.pixels[(y * 7 + x) * 3], mean, 0.5 + 1e-9);
    }
  }
}

TEST(DataImage, ShrinkingLeavesSmallImagesAlone) {
  const Image image = smooth_image(30, 50);
  EXPECT_EQ(shrink(image, 50).pixels, image.pixels);
  EXPECT_EQ(shrink(image, 0).pixels, image.pixels);
  const Image thin = shrink(smooth_image(2, 400), 10);
  EXPECT_EQ(thin.height, 1);
  EXPECT_EQ(thin.width, 10);
}

}  // namespace
}  // namespace kagami
