// Views per second of whole training steps, as `kagami pretrain` runs them: SimCLR with LARS, augmentation included, on
// random images in memory. Alone it prints a line a round; with --round it speaks the lock-step protocol of
// bench/README.md.
//
//   pretrain_bench [--device auto|cpu|cuda|cuda:N] [--precision auto|bf16|tf32|fp32] [--model resnet18] [--size 32|224]
//   [--batch 512] [--steps N] [--matmul own|cublas]
//                  [--hidden 512] [--rounds N] [--threads N] [--round]
#include <atomic>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "apps/support/common_options.h"
#include "engine/data/image_set.h"
#include "engine/error.h"
#include "kernels/cpu/parallel.h"
#include "kernels/matmul_library.h"
#include "kernels/philox.h"
#include "ssl/method.h"
#include "ssl/pretrain.h"

namespace kagami {
namespace {

struct Options {
  std::map<std::string, std::string> values{
      {"device", "auto"}, {"model", "resnet18"}, {"size", "32"},        {"batch", "512"},  {"steps", "20"},
      {"rounds", "5"},    {"threads", "0"},      {"precision", "auto"}, {"hidden", "512"}, {"matmul", "own"}};
  bool lock_step = false;

  Options(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i], name = argument.substr(argument.starts_with("--") ? 2 : 0);
      if (name == "round") {
        lock_step = true;
        continue;
      }
      check(values.contains(name) && i + 1 < argc, "pretrain_bench: unknown option or missing value: ", argument);
      values[name] = argv[++i];
    }
  }
  const std::string& operator[](const std::string& name) const { return values.at(name); }
  int integer(const std::string& name) const {
    try {
      return std::stoi(values.at(name));
    } catch (const std::exception&) {
      check(false, "pretrain_bench: --", name, " ", values.at(name), ": expected a number");
    }
    return 0;
  }
};

Dataset random_images(int count, int side) {
  ImageSetBuilder builder;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(side) * side * 3);
  for (int i = 0; i < count; ++i) {
    Philox random(1, Purpose::test, 0, static_cast<std::uint32_t>(i), 0);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random.next());
    builder.add(pixels, side, side, "image " + std::to_string(i));
  }
  Dataset data;
  data.name = "random";
  data.train = builder.finish();
  return data;
}

PretrainConfig configured(const Options& options) {
  PretrainConfig config;
  config.method = "simclr";
  method_info("simclr").defaults(config);
  config.arch = options["model"];
  const int size = options.integer("size");
  config.stem = size < 64 ? "cifar" : "imagenet";
  set_augmentation(config, "simclr-cifar");
  for (AugmentPolicy& policy : config.view_policies) set_view_size(policy, size);
  config.batch = options.integer("batch");
  config.optimizer = "lars";
  config.projector_layers = 2;
  config.projector_hidden = options.integer("hidden");
  config.epochs = 1000000;
  config.log_every = options.integer("steps");
  config.knn_every = 0;
  config.probe_images = 0;
  return config;
}

/// Takes the loop's reports as rounds. The loop does not count the time that is spent here.
class Rounds : public PretrainObserver {
 public:
  explicit Rounds(const Options& options, const std::string& facts)
      : lock_step_(options.lock_step), rounds_(options.integer("rounds")), facts_(facts) {}

  void on_step(const StepReport& report) override {
    const double views = 2 * report.images_per_second;
    const bool warming_up = seen_++ == 0;
    if (!lock_step_) {
      if (!warming_up) std::printf("%10.1f views/s   loss %.4f\n", views, report.loss);
      if (seen_ > rounds_) stop = true;
      return;
    }
    if (warming_up)
      std::cout << facts_ << std::endl;
    else
      std::cout << R"({"images_per_second": )" << views << '}' << std::endl;
    if (std::string line; !std::getline(std::cin, line)) stop = true;
  }
  std::atomic<bool> stop = false;

 private:
  bool lock_step_;
  int rounds_, seen_ = 0;
  std::string facts_;
};

int run(int argc, char** argv) {
  const Options options(argc, argv);
  cpu::set_threads(options.integer("threads"));
  const Device device = apps::device_named(options["device"]);
  apps::take_matmul(options["matmul"], device);
  const PretrainConfig config = configured(options);
  const Dataset data = random_images(config.batch * config.log_every, options.integer("size"));
  const Precision precision = apps::precision_named(options["precision"], device);
  Pretraining pretraining(config, data, device, "", precision);
  const std::string facts =
      text(R"({"name": "kagami", "version": ")" KAGAMI_VERSION R"(", "device": ")", device, R"(", "precision": ")",
           precision, R"(", "matmul": ")", matmul_name(), R"(", "model": ")", config.arch, R"(", "views": )",
           2 * config.batch, R"(, "size": )", options["size"], '}');
  Rounds rounds(options, facts);
  if (!options.lock_step) std::puts(facts.c_str());
  pretraining.run("", rounds, rounds.stop);
  return 0;
}

}  // namespace
}  // namespace kagami

int main(int argc, char** argv) {
  try {
    return kagami::run(argc, argv);
  } catch (const kagami::InputError& error) {
    std::cerr << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "pretrain_bench: " << error.what() << '\n';
    return 1;
  }
}
