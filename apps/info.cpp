// kagami info: what is in a file that Kagami reads or writes.
#include <algorithm>
#include <iostream>

#include "apps/commands.h"
#include "apps/support/options.h"
#include "apps/support/run_folder.h"
#include "apps/support/text.h"
#include "engine/safetensors.h"

namespace kagami::apps {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t shown_metadata = 70;  // characters of a value

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string s = "[";
  for (const std::int64_t size : shape) s += (s.size() > 1 ? "," : "") + std::to_string(size);
  return s + "]";
}

std::string one_line(std::string value) {
  std::replace(value.begin(), value.end(), '\n', ' ');
  if (columns_of(value) <= shown_metadata) return value;
  return first_columns(value, shown_metadata) + "... (" + std::to_string(value.size()) + " characters)";
}

void print_file(const fs::path& path, bool all) {
  const SafetensorsFile file(path);
  file.verify();
  std::size_t bytes = 0;
  std::int64_t elements = 0;
  for (const StoredTensor& tensor : file.tensors()) {
    bytes += tensor.bytes();
    elements += static_cast<std::int64_t>(tensor.bytes() / size_of(tensor.type));
  }
  std::cout << path.string() << ": " << file.tensors().size() << " tensors, " << elements << " values, "
            << bytes_text(static_cast<double>(bytes)) << ", "
            << (file.has_checksum() ? "checksum right" : "no checksum (not written by Kagami)") << "\n";
  if (!file.metadata().empty()) std::cout << "\nMetadata\n";
  for (const auto& [key, value] : file.metadata()) {
    if (all)
      std::cout << "  " << key << " = " << value << '\n';
    else
      std::cout << "  " << key << " = " << one_line(value) << '\n';
  }
  std::size_t name_width = 0;
  for (const StoredTensor& tensor : file.tensors()) name_width = std::max(name_width, tensor.name.size());
  std::cout << "\nTensors\n";
  for (const StoredTensor& tensor : file.tensors()) {
    std::string name = tensor.name;
    name.resize(name_width + 2, ' ');
    std::cout << "  " << name << name_of(tensor.type) << "  " << shape_text(tensor.shape) << '\n';
  }
}

void print_run(const fs::path& folder) {
  check(RunFolder::holds_run(folder), folder.string(), ": a folder without a run; give a file, or the folder of a run");
  std::cout << folder.string() << ": a run\n\nconfig.ini\n" << read_whole_file(folder / "config.ini") << "\nFiles\n";
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files)
    std::cout << "  " << file.filename().string() << "  " << bytes_text(static_cast<double>(fs::file_size(file)))
              << '\n';
}

}  // namespace

int info(const Arguments& arguments) {
  std::string file;
  bool all = false;
  Options options(
      "info", "info FILE",
      "Says what is in a .safetensors file: weights, a checkpoint, a packed data set. The whole file is checked: "
      "a damaged one is named with the reason. Of a run's folder it shows the options and the files.");
  options.example("info runs/first/checkpoint.safetensors", "names, types and shapes of all tensors");
  options.example("info runs/first", "how the run was made");
  options.positional("FILE", file, "a .safetensors file, or the folder of a run");
  options.add("all", all, "do not shorten long metadata");
  if (!options.parse(arguments, std::cout)) return 0;
  check(!file.empty(), "kagami info: give a file ('kagami info --help' has examples)");
  std::error_code ignored;
  if (fs::is_directory(file, ignored))
    print_run(file);
  else
    print_file(file, all);
  return 0;
}

}  // namespace kagami::apps
