// CIFAR-10 and CIFAR-100, binary version: records of label byte(s) and 3072 bytes, the red, green and blue planes of
// 32x32 pixels (https://www.cs.toronto.edu/~kriz/cifar.html).
#include <array>
#include <fstream>

#include "engine/data/data.h"
#include "engine/error.h"
#include "engine/mapped_file.h"

namespace kagami {
namespace fs = std::filesystem;
namespace {

constexpr int side = 32;
constexpr std::size_t plane = side * side;

struct Variant {
  const char* name;
  std::size_t label_bytes;  ///< the last one is the label: CIFAR-100 has a coarse one before it
  int classes;
  const char* names_file;
  std::vector<const char*> train_files;
  const char* test_file;
};

const Variant& cifar10() {
  static const Variant variant{
      "cifar10",
      1,
      10,
      "batches.meta.txt",
      {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
      "test_batch.bin"};
  return variant;
}

const Variant& cifar100() {
  static const Variant variant{"cifar100", 2, 100, "fine_label_names.txt", {"train.bin"}, "test.bin"};
  return variant;
}

bool has_any_train_file(const fs::path& folder, const Variant& variant) {
  for (const char* file : variant.train_files) {
    if (fs::is_regular_file(folder / file)) return true;
  }
  return false;
}

void add_file(const fs::path& path, const Variant& variant, ImageSetBuilder& builder) {
  check(fs::exists(path), "CIFAR file '", path.string(), "' is missing; unpack the whole archive again");
  const MappedFile file(path);
  const std::size_t record = variant.label_bytes + 3 * plane;
  const auto bytes = file.bytes();
  check(!bytes.empty() && bytes.size() % record == 0, "CIFAR file '", path.string(), "' has ", bytes.size(),
        " bytes, not a multiple of ", record, "; it is cut off or not ", variant.name);
  std::array<std::uint8_t, 3 * plane> pixels;
  for (std::size_t start = 0; start < bytes.size(); start += record) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data()) + start;
    const int label = data[variant.label_bytes - 1];
    const std::size_t number = start / record;
    check(label < variant.classes, "CIFAR file '", path.string(), "': record ", number, " has label ", label, " of ",
          variant.classes, "; the file is damaged or not ", variant.name);
    const std::uint8_t* planes = data + variant.label_bytes;
    for (std::size_t i = 0; i < plane; ++i) {
      for (std::size_t c = 0; c < 3; ++c) pixels[3 * i + c] = planes[c * plane + i];
    }
    builder.add(pixels, side, side, text(path.filename().string(), ":", number));
    builder.add_label(label);
  }
}

std::vector<std::string> class_names(const fs::path& folder, const Variant& variant) {
  std::vector<std::string> names;
  std::ifstream file(folder / variant.names_file);
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (names.size() == static_cast<std::size_t>(variant.classes)) return names;
  names.clear();  // the file is only a convenience: without it classes are numbers
  for (int i = 0; i < variant.classes; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace

bool is_cifar_folder(const fs::path& folder) {
  return has_any_train_file(folder, cifar10()) || has_any_train_file(folder, cifar100());
}

Dataset read_cifar(const fs::path& folder) {
  const Variant& variant = has_any_train_file(folder, cifar10()) ? cifar10() : cifar100();
  Dataset data;
  data.name = variant.name;
  data.class_names = class_names(folder, variant);
  ImageSetBuilder train, test;
  for (const char* file : variant.train_files) add_file(folder / file, variant, train);
  add_file(folder / variant.test_file, variant, test);
  data.train = train.finish();
  data.test = test.finish();
  return data;
}

}  // namespace kagami
