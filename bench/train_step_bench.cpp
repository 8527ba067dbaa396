// Images per second of a training step, and where its time goes. Alone it prints a table; with --round it speaks the
// lock-step protocol of bench/README.md, with --memory it prints the arena's peak.
//
//   train_step_bench --model resnet18 --batch 64 [--step plain|simclr] [--threads N] [--round-seconds S]
//                    [--cpu auto|avx2|avx512|baseline] [--conv auto|direct|winograd] [--round | --memory]
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/optimizer.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "models/heads.h"
#include "models/registry.h"

namespace kagami {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Options {
  std::map<std::string, std::string> values{{"model", "resnet18"}, {"batch", "64"},        {"step", "plain"},
                                            {"threads", "0"},      {"round-seconds", "2"}, {"cpu", "auto"},
                                            {"conv", "auto"}};
  std::set<std::string> flags;

  Options(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i], name = argument.substr(argument.starts_with("--") ? 2 : 0);
      if (name == "round" || name == "memory") {
        flags.insert(name);
        continue;
      }
      check(values.contains(name) && i + 1 < argc, "unknown option or missing value: ", argument);
      values[name] = argv[++i];
    }
    check(values["step"] == "plain" || values["step"] == "simclr", "--step is plain or simclr, not ", values["step"]);
  }
  const std::string& operator[](const std::string& name) const { return values.at(name); }
  int integer(const std::string& name) const { return std::stoi(values.at(name)); }
};

Tensor random_images(int count) {
  const Tensor images = Tensor::empty({count, 32, 32, 3}, DType::f32, Device::cpu());
  initialize(images, Init::uniform(1), 1, "images");
  return images;
}

Tensor some_labels(int count) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) labels[static_cast<std::size_t>(i)] = i * 7 % 10;
  return Tensor::from(labels, {count}, Device::cpu());
}

/// Seconds spent in the parts of the steps so far.
struct Parts {
  double forward = 0, backward = 0, optimizer = 0;
  int steps = 0;
};

class TrainStep {
 public:
  explicit TrainStep(const Options& options)
      : simclr_(options["step"] == "simclr"),
        rows_(options.integer("batch") * (simclr_ ? 2 : 1)),
        backbone_(make_backbone(Scope(params_), {.arch = options["model"]})),
        state_(Device::cpu()),
        images_(random_images(rows_)),
        labels_(some_labels(rows_)) {
    const int features = backbone_->features();
    if (simclr_) {
      MlpOptions projector = simclr_projector(features, features, 128);
      projector.output_norm = NormKind::affine;
      projector.hidden_bias = projector.output_bias = true;
      projector_.emplace(Scope(params_, "projector"), projector);
    } else {
      classifier_.emplace(Scope(params_, "fc"), features, 10);
    }
    params_.allocate(Device::cpu(), DType::f32, 1);
    optimizer_ = make_sgd(params_, {.weight_decay = 5e-4});
    StepScalars scalars;
    set_learning_rates(scalars, params_, 1e-3, 1);
    state_.set(scalars);
  }

  void run() {
    const auto start = Clock::now();
    params_.zero_grad();
    const Tensor h = backbone_->forward(images_, norm_options(Mode::train, simclr_ ? 2 : 1));
    const Tensor loss = simclr_ ? ntxent(projector_->forward(h, norm_options(Mode::train, 2)), 0.5).loss
                                : cross_entropy(classifier_->forward(h), labels_);
    const auto forward_done = Clock::now();
    backward(loss);
    const auto backward_done = Clock::now();
    optimizer_->step(state_);
    parts_.forward += std::chrono::duration<double>(forward_done - start).count();
    parts_.backward += std::chrono::duration<double>(backward_done - forward_done).count();
    parts_.optimizer += seconds_since(backward_done);
    ++parts_.steps;
  }

  /// One round of about `seconds`.
  double images_per_second(double seconds) {
    const auto start = Clock::now();
    int steps = 0;
    do {
      run();
      ++steps;
    } while (seconds_since(start) < seconds);
    return steps * rows_ / seconds_since(start);
  }

  Parts take_parts() { return std::exchange(parts_, Parts{}); }

 private:
  bool simclr_;
  int rows_;
  Params params_;
  std::unique_ptr<Backbone> backbone_;
  std::optional<Mlp> projector_;
  std::optional<Linear> classifier_;
  std::unique_ptr<Optimizer> optimizer_;
  StepState state_;
  Tensor images_, labels_;
  Parts parts_;
};

std::string facts(const Options& options) {
  return text(R"({"name": "kagami", "version": ")" KAGAMI_VERSION R"(", "isa": ")", cpu::name_of(cpu::isa()),
              R"(", "threads": )", cpu::threads(), R"(, "model": ")", options["model"], R"(", "batch": )",
              options["batch"], R"(, "step": ")", options["step"], R"(", "conv": ")", options["conv"], '"');
}

void alone(const Options& options, TrainStep& step) {
  step.run();
  step.take_parts();
  const MemoryStats before = Device::cpu().memory().stats();
  for (int round = 0; round < 5; ++round) {
    const double speed = step.images_per_second(std::stod(options["round-seconds"]));
    const Parts p = step.take_parts();
    std::printf("%8.1f images/s   step %8.2f ms   forward %8.2f   backward %8.2f   optimizer %6.2f\n", speed,
                1e3 * (p.forward + p.backward + p.optimizer) / p.steps, 1e3 * p.forward / p.steps,
                1e3 * p.backward / p.steps, 1e3 * p.optimizer / p.steps);
  }
  const MemoryStats after = Device::cpu().memory().stats();
  std::printf("peak %.1f MiB, %lu allocations from the system after the first step\n", after.peak / 1048576.0,
              static_cast<unsigned long>(after.system_allocations - before.system_allocations));
}

int run(int argc, char** argv) {
  const Options options(argc, argv);
  cpu::set_isa(options["cpu"]);
  cpu::set_conv_algorithm(options["conv"]);
  cpu::set_threads(options.integer("threads"));
  TrainStep step(options);
  if (options.flags.contains("memory")) {
    for (int i = 0; i < 3; ++i) step.run();
    std::cout << facts(options) << R"(, "peak_bytes": )" << Device::cpu().memory().stats().peak << '}' << std::endl;
  } else if (options.flags.contains("round")) {
    step.run();
    std::cout << facts(options) << '}' << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
      const double speed = step.images_per_second(std::stod(options["round-seconds"]));
      std::cout << R"({"images_per_second": )" << speed << R"(, "peak_bytes": )" << Device::cpu().memory().stats().peak
                << '}' << std::endl;
    }
  } else {
    alone(options, step);
  }
  return 0;
}

}  // namespace
}  // namespace kagami

int main(int argc, char** argv) {
  try {
    return kagami::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "train_step_bench: " << error.what() << '\n';
    return 2;
  }
}
