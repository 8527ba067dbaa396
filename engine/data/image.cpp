#include "engine/data/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "engine/data/jpeg.h"
#include "engine/data/png.h"
#include "engine/error.h"

namespace kagami {
namespace {

constexpr int channels = 3;

bool starts_with(std::span<const std::uint8_t> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path) : value_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

/// Small files: reading them is faster than mapping them.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  const Descriptor file(path);
  check(file.value() >= 0, std::strerror(errno));
  struct stat status {};
  check(fstat(file.value(), &status) == 0 && S_ISREG(status.st_mode), "not a regular file");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size));
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = read(file.value(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    check(got >= 0, std::strerror(errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

/// How much of each source pixel a new pixel covers, in units of 1/new_size: whole numbers that add up to old_size.
struct Coverage {
  Coverage(int old_size, int new_size, int index) {
    const std::int64_t first_edge = std::int64_t{index} * old_size;
    const std::int64_t last_edge = first_edge + old_size;
    first = static_cast<int>(first_edge / new_size);
    for (std::int64_t edge = first_edge, i = first; edge < last_edge; ++i) {
      const std::int64_t next = std::min(last_edge, (i + 1) * new_size);
      weights.push_back(static_cast<std::uint32_t>(next - edge));
      edge = next;
    }
  }
  int first = 0;
  std::vector<std::uint32_t> weights;
};

std::vector<Coverage> coverages(int old_size, int new_size) {
  std::vector<Coverage> result;
  for (int i = 0; i < new_size; ++i) result.emplace_back(old_size, new_size, i);
  return result;
}

/// Adds `weight` times a source row, its pixels averaged along x, to `sums`.
void add_row(const std::uint8_t* row, std::uint64_t weight, const std::vector<Coverage>& columns,
             std::vector<std::uint64_t>& sums) {
  for (std::size_t x = 0; x < columns.size(); ++x) {
    std::uint64_t sum[channels] = {};
    const std::uint8_t* pixel = row + std::ptrdiff_t{columns[x].first} * channels;
    for (const std::uint32_t column_weight : columns[x].weights) {
      for (int c = 0; c < channels; ++c) sum[c] += std::uint64_t{column_weight} * *pixel++;
    }
    for (int c = 0; c < channels; ++c) sums[x * channels + c] += weight * sum[c];
  }
}

}  // namespace

Image decode_image(std::span<const std::uint8_t> bytes) {
  check(!bytes.empty(), "the file is empty");
  if (starts_with(bytes, "\xFF\xD8\xFF")) return decode_jpeg(bytes);
  if (starts_with(bytes, "\x89PNG\r\n\x1A\n")) return decode_png(bytes);
  throw InputError("neither a JPEG nor a PNG file");
}

Image read_image(const std::filesystem::path& path) {
  try {
    return decode_image(read_file(path));
  } catch (const InputError& error) {
    throw InputError(text("cannot read image '", path.string(), "': ", error.what()));
  }
}

Image shrink(Image image, int max_side) {
  const int longer = std::max(image.height, image.width);
  if (max_side <= 0 || longer <= max_side) return image;
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>((std::int64_t{side} * max_side + longer / 2) / longer));
  };
  Image small{scaled(image.height), scaled(image.width), {}};
  small.pixels.resize(static_cast<std::size_t>(small.height) * small.width * channels);
  const std::vector<Coverage> columns = coverages(image.width, small.width);
  const std::uint64_t area = static_cast<std::uint64_t>(image.height) * static_cast<std::uint64_t>(image.width);
  const std::size_t pitch = static_cast<std::size_t>(image.width) * channels;
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(small.width) * channels);
  auto target = small.pixels.begin();
  for (int y = 0; y < small.height; ++y) {
    std::fill(sums.begin(), sums.end(), 0);
    const Coverage rows(image.height, small.height, y);
    for (std::size_t i = 0; i < rows.weights.size(); ++i) {
      add_row(image.pixels.data() + (static_cast<std::size_t>(rows.first) + i) * pitch, rows.weights[i], columns, sums);
    }
    for (const std::uint64_t sum : sums) *target++ = static_cast<std::uint8_t>((sum + area / 2) / area);
  }
  return small;
}

Image oriented(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool transposed = orientation >= 5;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image turned = image;
  if (transposed) std::swap(turned.height, turned.width);
  std::uint8_t* target = turned.pixels.data();
  for (int y = 0; y < turned.height; ++y) {
    for (int x = 0; x < turned.width; ++x) {
      int row = transposed ? x : y;
      int column = transposed ? y : x;
      if (from_bottom) row = image.height - 1 - row;
      if (from_right) column = image.width - 1 - column;
      const std::size_t source = (static_cast<std::size_t>(row) * image.width + column) * channels;
      target = std::copy_n(image.pixels.data() + source, channels, target);
    }
  }
  return turned;
}

int exif_orientation(std::span<const std::uint8_t> tiff) {
  constexpr std::uint16_t orientation_tag = 0x0112, type_short = 3;
  constexpr std::size_t entry_bytes = 12;
  if (!starts_with(tiff, "II*") && !starts_with(tiff, "MM")) return 1;
  const bool little = tiff[0] == 'I';
  const auto number = [&](std::size_t position, std::size_t bytes) -> std::size_t {
    if (position > tiff.size() || bytes > tiff.size() - position) return 0;
    std::size_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | tiff[position + (little ? bytes - 1 - i : i)];
    return value;
  };
  const std::size_t directory = number(4, 4);
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * entry_bytes;
    if (number(entry, 2) != orientation_tag || number(entry + 2, 2) != type_short) continue;
    const std::size_t value = number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace kagami
