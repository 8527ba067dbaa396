// kagami data: pack a data set into one file; look at augmented views.
#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>

#include "apps/commands.h"
#include "apps/support/data_source.h"
#include "apps/support/text.h"
#include "engine/data/png.h"
#include "engine/device.h"
#include "engine/error.h"
#include "engine/suggest.h"
#include "ssl/augmentation.h"

namespace kagami::apps {
namespace {

int pack(const Arguments& arguments) {
  ImageOptions images;
  std::string out;
  Options options(
      "data pack", "data pack --data PATH --out FILE.safetensors",
      "Writes any data set into one file that opens at once: images are decoded once, in parallel, and kept as "
      "8-bit RGB with their labels, sizes and names.");
  options.example("data pack --data photos/ --max-side 256 --out photos.safetensors", "a folder of photos, shrunk");
  options.example("data pack --data cifar-10-batches-bin --out cifar10.safetensors", "the official binary CIFAR-10");
  options.group("Output");
  options.add("out", out, "FILE", "the packed set, a .safetensors file").once();
  options.accept_recipe();
  images.declare(options);
  if (!options.parse(arguments, std::cout)) return 0;
  check_out(out, ".safetensors");
  images.compute.apply();
  const Dataset data = images.source.pack(out);
  std::cout << out << ": " << data.train.size() << " training and " << data.test.size() << " test images, "
            << (data.train.labelled() ? text(data.class_names.size(), " classes, ") : std::string("no labels, "))
            << bytes_text(static_cast<double>(std::filesystem::file_size(out))) << '\n';
  return 0;
}

/// An RGB canvas of equal cells with gaps between them, on white.
class ContactSheet {
 public:
  ContactSheet(int rows, int columns, int size) : size_(size), zoom_(std::max(1, 96 / size)), columns_(columns) {
    cell_ = size_ * zoom_;
    height_ = rows * (cell_ + gap) + gap;
    width_ = columns_ * (cell_ + gap) + gap;
    pixels_.assign(static_cast<std::size_t>(height_) * static_cast<std::size_t>(width_) * 3, 255);
  }

  /// view: [size, size, 3] as networks see it, normalised with mean and std.
  void put(int row, int column, const float* view, const float* mean, const float* std) {
    const int top = gap + row * (cell_ + gap), left = gap + column * (cell_ + gap);
    for (int y = 0; y < cell_; ++y)
      for (int x = 0; x < cell_; ++x)
        for (int c = 0; c < 3; ++c) {
          const float value = view[((y / zoom_) * size_ + x / zoom_) * 3 + c] * std[c] + mean[c];
          pixels_[(static_cast<std::size_t>(top + y) * static_cast<std::size_t>(width_) +
                   static_cast<std::size_t>(left + x)) *
                      3 +
                  static_cast<std::size_t>(c)] =
              static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.0F, 1.0F)));
        }
  }
  void write(const std::string& file) const { write_png(file, pixels_, height_, width_); }
  int height() const { return height_; }
  int width() const { return width_; }

 private:
  static constexpr int gap = 4;
  int size_, zoom_, columns_, cell_, height_, width_;
  std::vector<std::uint8_t> pixels_;
};

struct Preview {
  ImageOptions images;
  std::string augmentation = "simclr-cifar", out;
  int rows = 8, views = 8, size = 0;
  std::uint64_t seed = 1;
};

ContactSheet draw(const Preview& preview, AugmentPolicy policy, const ImageSet& set) {
  if (preview.size > 0) set_view_size(policy, preview.size);
  const std::size_t view_values = static_cast<std::size_t>(policy.size) * static_cast<std::size_t>(policy.size) * 3;
  ContactSheet sheet(preview.rows, preview.views + 1, policy.size);
  std::vector<float> view(view_values);
  const Cpu device = Device::cpu().as_cpu();
  for (int row = 0; row < preview.rows; ++row) {
    const SourceImage image{set.image(row).data(), set.heights[static_cast<std::size_t>(row)],
                            set.widths[static_cast<std::size_t>(row)], static_cast<std::uint32_t>(row)};
    EvaluationTransform whole = evaluation_transform(policy);
    whole.resize = whole.size;
    evaluation_view(device, whole, &image, 1, view.data());
    sheet.put(row, 0, view.data(), whole.mean, whole.std);
    for (int column = 0; column < preview.views; ++column) {
      // Views of a run are numbered 0 and 1 in each epoch: these are its first ones.
      const AugmentDraw draw{preview.seed, static_cast<std::uint32_t>(column / 2),
                             static_cast<std::uint32_t>(column % 2)};
      augment(device, policy, draw, &image, 1, view.data());
      sheet.put(row, column + 1, view.data(), policy.mean, policy.std);
    }
  }
  return sheet;
}

int preview(const Arguments& arguments) {
  Preview call;
  Options options(
      "data preview", "data preview --data PATH --out FILE.png",
      "Draws a contact sheet of what the network sees: in each row an image, then augmented views of it. If you "
      "cannot tell which views belong together, neither can the network.");
  options.example("data preview --data procedural --out views.png", "the built-in images under SimCLR's augmentation");
  options.example("data preview --data photos/ --augmentation simclr --out views.png", "224x224 views of photos");
  options.group("Output");
  options.add("out", call.out, "FILE", "a .png file").once();
  options.add("images", call.rows, "N", "rows").between(1, 100);
  options.add("views", call.views, "N", "views in each row").between(1, 100);
  options.accept_recipe();
  options.group("Views");
  options.add("augmentation", call.augmentation, "NAME", "policy").one_of(augment_policy_names());
  options.add("size", call.size, "N", "side of a view in pixels; 0: the policy's own").between(0, 1024);
  options.add("seed", call.seed, "N", "of the random draws");
  call.images.declare(options);
  if (!options.parse(arguments, std::cout)) return 0;
  check_out(call.out, ".png");
  const Dataset data = call.images.open();
  call.rows = static_cast<int>(std::min<std::int64_t>(call.rows, data.train.size()));
  const ContactSheet sheet = draw(call, augment_policy(call.augmentation), data.train);
  sheet.write(call.out);
  std::cout << call.out << ": " << call.rows << " images, " << call.views << " views of each, " << sheet.width() << "x"
            << sheet.height() << " pixels\n";
  return 0;
}

constexpr std::array actions{Command{"pack", "write a data set into one file", pack},
                             Command{"preview", "draw a contact sheet of augmented views", preview}};

}  // namespace

int data(const Arguments& arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    std::cout << "kagami data ACTION [options]\n\n";
    for (const Command& action : actions)
      std::cout << "  kagami data " << action.name << " --help    " << action.summary << '\n';
    return arguments.empty() ? 2 : 0;
  }
  std::vector<std::string> names;
  for (const Command& action : actions) {
    if (arguments[0] == action.name) return action.run({arguments.begin() + 1, arguments.end()});
    names.emplace_back(action.name);
  }
  check(false, "unknown action '", arguments[0], "' of 'kagami data'", did_you_mean(arguments[0], names));
  return 2;
}

}  // namespace kagami::apps
