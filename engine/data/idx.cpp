// IDX files (MNIST, Fashion-MNIST, ...): a big-endian header {0, 0, type, rank, sizes...}, then bytes.
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "engine/data/data.h"
#include "engine/error.h"

namespace kagami {
namespace fs = std::filesystem;
namespace {

constexpr int byte_type = 8;
constexpr std::int64_t max_file_bytes = std::int64_t{1} << 36;

/// A plain or gzip-compressed file, read from front to back.
class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path.string()), file_(gzopen(path.c_str(), "rb"), gzclose) {
    check(file_ != nullptr, "cannot read '", path_, "'");
  }

  void read(std::uint8_t* target, std::int64_t bytes) {
    constexpr std::int64_t piece = 1 << 24;
    while (bytes > 0) {
      const int got = gzread(file_.get(), target, static_cast<unsigned>(std::min(bytes, piece)));
      int error = Z_OK;
      const char* reason = gzerror(file_.get(), &error);
      check(got >= 0 && (error == Z_OK || error == Z_STREAM_END), "IDX file '", path_, "': ", reason);
      check(got > 0, "IDX file '", path_, "' is cut off: ", bytes, " bytes are missing");
      target += got;
      bytes -= got;
    }
  }

  /// Reading on also makes zlib compare its own checksum.
  void expect_end() {
    std::uint8_t next;
    const int got = gzread(file_.get(), &next, 1);
    check(got == 0 && gzeof(file_.get()), "IDX file '", path_,
          got > 0 ? "' has more data than its header says; it is damaged" : "' is damaged at its end");
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

struct Bytes {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> values;
};

Bytes read_bytes(const fs::path& path, int rank) {
  Reader reader(path);
  std::uint8_t header[4];
  reader.read(header, sizeof header);
  check(header[0] == 0 && header[1] == 0 && header[2] == byte_type && header[3] == rank, "'", reader.path(),
        "' is not an IDX file of bytes with ", rank, " dimension(s)");
  Bytes bytes;
  std::int64_t total = 1;
  for (int i = 0; i < rank; ++i) {
    std::uint8_t size[4];
    reader.read(size, sizeof size);
    bytes.sizes.push_back(std::int64_t{size[0]} << 24 | size[1] << 16 | size[2] << 8 | size[3]);
    check(bytes.sizes.back() > 0 && total <= max_file_bytes / bytes.sizes.back(), "IDX file '", reader.path(),
          "' claims a size that cannot be; it is damaged");
    total *= bytes.sizes.back();
  }
  // Grown as data really comes: a damaged header must not allocate what it claims.
  constexpr std::int64_t piece = 1 << 26;
  while (total > 0) {
    const std::int64_t count = std::min(total, piece);
    const std::size_t filled = bytes.values.size();
    bytes.values.resize(filled + static_cast<std::size_t>(count));
    reader.read(bytes.values.data() + filled, count);
    total -= count;
  }
  reader.expect_end();
  return bytes;
}

std::optional<fs::path> find_file(const fs::path& folder, const std::string& stem, const std::string& kind) {
  for (const char* separator : {"-", "."}) {
    for (const char* suffix : {"", ".gz"}) {
      const fs::path path = folder / (stem + separator + kind + suffix);
      if (fs::is_regular_file(path)) return path;
    }
  }
  return std::nullopt;
}

ImageSet read_split(const fs::path& folder, const std::string& prefix) {
  const auto images_path = find_file(folder, prefix + "-images", "idx3-ubyte");
  const auto labels_path = find_file(folder, prefix + "-labels", "idx1-ubyte");
  check(images_path.has_value(), "folder '", folder.string(), "' lacks ", prefix, "-images-idx3-ubyte");
  const Bytes images = read_bytes(*images_path, 3);
  const std::int64_t count = images.sizes[0], height = images.sizes[1], width = images.sizes[2];
  check(height * width <= max_image_pixels, "IDX file '", images_path->string(), "': images of ", height, "x", width,
        " pixels are over the limit");
  ImageSetBuilder builder;
  builder.reserve(count, count * height * width * 3);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height * width * 3));
  const std::uint8_t* grey = images.values.data();
  for (std::int64_t i = 0; i < count; ++i) {
    for (auto pixel = pixels.begin(); pixel != pixels.end(); ++grey) pixel = std::fill_n(pixel, 3, *grey);
    builder.add(pixels, static_cast<int>(height), static_cast<int>(width),
                text(images_path->filename().string(), ":", i));
  }
  if (labels_path) {
    const Bytes labels = read_bytes(*labels_path, 1);
    check(labels.sizes[0] == count, "IDX files '", images_path->string(), "' and '", labels_path->string(),
          "' do not belong together: ", count, " images, ", labels.sizes[0], " labels");
    for (const std::uint8_t label : labels.values) builder.add_label(label);
  }
  return builder.finish();
}

}  // namespace

bool is_idx_folder(const fs::path& folder) { return find_file(folder, "train-images", "idx3-ubyte").has_value(); }

Dataset read_idx(const fs::path& folder) {
  Dataset data;
  data.name = folder.string();
  data.train = read_split(folder, "train");
  if (find_file(folder, "t10k-images", "idx3-ubyte")) data.test = read_split(folder, "t10k");
  int classes = 0;
  for (const ImageSet* set : {&data.train, &data.test}) {
    for (const std::int32_t label : set->labels) classes = std::max(classes, label + 1);
  }
  for (int i = 0; i < classes; ++i) data.class_names.push_back(std::to_string(i));
  return data;
}

}  // namespace kagami
