// kagami embed: features for other programs.
#include <algorithm>
#include <iostream>
#include <numeric>

#include "apps/commands.h"
#include "apps/encoder.h"
#include "apps/support/run_folder.h"
#include "apps/support/text.h"
#include "engine/error.h"
#include "engine/npy.h"

namespace kagami::apps {
namespace {

struct Row {
  const ImageSet* set;
  std::int64_t index;
  const std::string& source() const { return set->sources[static_cast<std::size_t>(index)]; }
};

/// The images of the wanted splits in the byte order of their names.
std::vector<Row> sorted_rows(const Dataset& data, const std::string& split) {
  std::vector<Row> rows;
  for (const ImageSet* set : {&data.train, &data.test}) {
    if (split != "all" && (split == "test") != (set == &data.test)) continue;
    for (std::int64_t i = 0; i < set->size(); ++i) rows.push_back({set, i});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.source() < b.source(); });
  return rows;
}

Tensor features_of_rows(const std::vector<Row>& rows, const Dataset& data, const Encoder& encoder) {
  Tensor all;
  for (const ImageSet* set : {&data.train, &data.test}) {
    std::vector<std::int64_t> indices, places;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].set != set) continue;
      indices.push_back(rows[i].index);
      places.push_back(static_cast<std::int64_t>(i));
    }
    if (indices.empty()) continue;
    const Tensor part = features_of(select(*set, indices), encoder.transform, encoder.encode, encoder.device);
    if (!all) all = Tensor::empty({static_cast<std::int64_t>(rows.size()), part.shape(1)}, DType::f32, Device::cpu());
    for (std::size_t i = 0; i < places.size(); ++i)
      all.rows(places[i], 1).copy_from(part.rows(static_cast<std::int64_t>(i), 1));
  }
  return all;
}

}  // namespace

int embed(const Arguments& arguments) {
  ImageOptions images;
  EncoderOptions network;
  DeviceOption device;
  std::string out, names, split = "all";
  Options options(
      "embed", "embed --weights FILE --arch NAME --stem NAME --data PATH --out FILE.npy",
      "Writes the features of every image as a float32 matrix [images, features] that NumPy reads. Rows are in the "
      "byte order of the images' paths; --names writes those paths, one a line.");
  options.example("embed --run runs/first --data photos/ --out features.npy", "the network of a run");
  options.example("embed --weights r18.safetensors --arch resnet18 --stem imagenet --data photos/ --out features.npy",
                  "weights in torchvision's layout");
  options.group("Output");
  options.add("out", out, "FILE", "a .npy file").once();
  options.add("names", names, "FILE", "the images' paths, one a line").once();
  options.add("split", split, "NAME", "which images").one_of({"all", "train", "test"});
  options.accept_recipe();
  network.declare(options, true);
  images.declare(options);
  device.declare(options);
  if (!options.parse(arguments, std::cout)) return 0;
  check_out(out, ".npy");
  network.resolve(options, images.source);
  images.compute.apply();
  const Encoder encoder = network.load(device);
  const Dataset data = images.source.open();
  const std::vector<Row> rows = sorted_rows(data, split);
  check(!rows.empty(), "--split ", split, ": the data has no such images");
  const Tensor features = features_of_rows(rows, data, encoder);
  write_npy(out, {features.data<float>(), static_cast<std::size_t>(features.numel())}, features.shape(0),
            features.shape(1));
  if (!names.empty()) {
    std::string lines;
    for (const Row& row : rows) lines += row.source() + "\n";
    write_whole_file(names, lines);
  }
  std::cout << out << ": " << features.shape(0) << " x " << features.shape(1) << " float32, features of "
            << encoder.name << '\n';
  return 0;
}

}  // namespace kagami::apps
