#include "apps/pretrain_options.h"

#include <map>

#include "apps/support/run_folder.h"
#include "engine/error.h"
#include "models/registry.h"
#include "ssl/method.h"

namespace kagami::apps {
namespace {

constexpr const char* second_view_prefix = "second-";

/// What --help says about a setting of an augmentation policy; empty for one that its name explains.
std::string setting_help(const std::string& key) {
  static const std::map<std::string, std::string> help{
      {"size", "side of a view in pixels; the blur follows it"},
      {"interpolation", "bilinear or bicubic, antialiased"},
      {"random-crop", "a random crop, resized; otherwise the largest centred square"},
      {"crop-scale-min", "smallest area of a crop, as a share of the image"},
      {"crop-scale-max", "largest area of a crop"},
      {"crop-ratio-min", "smallest width / height of a crop"},
      {"crop-ratio-max", "largest width / height of a crop"},
      {"flip-probability", "mirrored left to right"},
      {"jitter-probability", "colours changed by the next four, in random order"},
      {"brightness", "factor drawn from 1-x to 1+x"},
      {"contrast", "factor drawn from 1-x to 1+x"},
      {"saturation", "factor drawn from 1-x to 1+x"},
      {"hue", "turn drawn from -x to x, 1 being the whole circle"},
      {"gray-probability", "colours removed"},
      {"blur-probability", "Gaussian blur"},
      {"blur-kernel", "its width in pixels, odd"},
      {"blur-sigma-min", "its smallest sigma, in pixels"},
      {"blur-sigma-max", "its largest sigma"},
      {"solarize-probability", "values above a threshold inverted"},
      {"solarize-threshold", "that threshold, in [0, 1]"},
      {"order", "of what follows the crop"},
      {"mean", "subtracted from red, green, blue"},
      {"std", "then divided by"}};
  const auto found = help.find(key);
  return found == help.end() ? std::string() : found->second;
}

}  // namespace

void PretrainOptions::declare(Options& options) {
  options.group("Method");
  options.add("method", config.method, "NAME", "how to learn; it brings its own values of all options below")
      .one_of(method_names());
  source.declare(options);
  declare_network(options);
  declare_loss(options);
  declare_training(options);
  declare_views(options);
  declare_monitoring(options);
  compute.declare(options);
  device.declare(options);
  options
      .add("device-data-limit", config.device_data_limit, "N",
           "CUDA: training images of more than N MiB, or half of the device's memory, stay on the host and come to the "
           "device "
           "batch by batch")
      .between(0, 1e9);
  options.add("record-step", config.record_step, "CUDA: record the step once, and launch it as a whole from then on");
}

void PretrainOptions::declare_network(Options& options) {
  options.group("Network");
  options.add("arch", config.arch, "NAME", "encoder").one_of(backbone_names());
  options.add("stem", config.stem, "NAME", "its first layers (7x7 and pooled, 3x3, 3x3 of stride 2)")
      .one_of({"imagenet", "cifar", "cifar-s2"});
  options.add("width", config.width, "N", "channels of the first stage; 0: the architecture's own").between(0, 4096);
  options.add("projector-layers", config.projector_layers, "N", "layers of the projector").between(1, 8);
  options.add("projector-hidden", config.projector_hidden, "N", "width of its hidden layers").between(1, 1 << 20);
  options.add("projector-dim", config.projector_dim, "N", "width of its output").between(1, 1 << 20);
  options.add("projector-bias", config.projector_bias, "a bias in its last layer");
  options
      .add("projector-hidden-bn", config.projector_hidden_bn, "NAME",
           "batch norm in its hidden layers (fixed: without gamma and beta; scale: without beta)")
      .one_of({"none", "fixed", "scale", "affine"});
  options.add("projector-output-bn", config.projector_output_bn, "NAME", "the same after its last layer")
      .one_of({"none", "fixed", "scale", "affine"});
}

void PretrainOptions::declare_loss(Options& options) {
  options.group("Loss");
  options.add("temperature", config.temperature, "X", "temperature of the softmax").above(0);
  options.add("bn-views", config.bn_views, "NAME", "batch statistics over each view's rows, or over both views'")
      .one_of({"per-view", "joint"});
}

void PretrainOptions::declare_training(Options& options) {
  options.group("Training");
  options.add("epochs", config.epochs, "N", "passes over the training images").between(1, 1e6);
  options.add("batch", config.batch, "N", "images a step; each gives two views").between(2, 1 << 24);
  options
      .add("micro-batch", config.micro_batch, "N",
           "images in memory at a time: the same loss over the whole batch, in two passes; batch norm sees N; 0: all")
      .between(0, 1 << 24);
  options.add("optimizer", config.optimizer, "NAME", "rule of the update").one_of({"sgd", "lars", "adamw"});
  options.add("lr", config.lr, "X", "learning rate before scaling").above(0);
  options.add("lr-scaling", config.lr_scaling, "NAME", "linear: lr x batch / 256; sqrt: lr x sqrt(batch)")
      .one_of({"linear", "sqrt", "none"});
  options.add("schedule", config.schedule, "NAME", "of the rate after the warm-up: per step, or per epoch")
      .one_of({"cosine", "cosine-epoch", "constant"});
  options.add("warmup-epochs", config.warmup_epochs, "X", "epochs in which the rate grows from 0").at_least(0);
  options.add("momentum", config.momentum, "X", "momentum; AdamW's first beta").at_least(0).below(1);
  options.add("nesterov", config.nesterov, "Nesterov momentum (sgd)");
  options.add("weight-decay", config.weight_decay, "X", "weight decay").at_least(0);
  options.add("decay-vectors", config.decay_vectors, "weight decay also on biases and batch norms (sgd, adamw)");
  options.add("trust", config.trust, "X", "LARS: trust coefficient").above(0);
  options.add("lars-norm", config.lars_norm, "NAME", "LARS: norm of gradient and decay together, or their sum")
      .one_of({"joint", "sum"});
  options.add("lars-clip", config.lars_clip, "LARS: the scaled rate never exceeds lr");
  options.add("lars-lr-in-momentum", config.lars_lr_in_momentum, "LARS: the rate is applied before the momentum");
  options.add("seed", config.seed, "N", "of everything random: same seed, same bits");
}

void PretrainOptions::declare_views(Options& options) {
  options.group("Views");
  std::string policies;
  for (const std::string& name : augment_policy_names()) policies += (policies.empty() ? "" : ", ") + name;
  options.add("augmentation", config.augmentation, "NAME",
              "of both views, or FIRST,SECOND: " + policies +
                  ". It sets the options below; with second- before the name (" + second_view_prefix +
                  "blur-probability, say) one is changed for the second view alone");
  for (int view = 0; view < 2; ++view) {
    for (const auto& [key, value] : augment_settings(config.view_policies[view]))
      view_settings_[view].push_back({key, view == 0 ? value : std::string()});
    for (Setting& setting : view_settings_[view]) {
      Option& option = options.add((view == 0 ? "" : second_view_prefix) + setting.key, setting.value, "X",
                                   setting_help(setting.key));
      if (view == 1) option.hidden();
    }
  }
}

void PretrainOptions::declare_monitoring(Options& options) {
  options.group("Watching");
  options.add("log-every", config.log_every, "N", "steps between lines of log.jsonl").between(1, 1e9);
  options.add("knn-every", config.knn_every, "N", "epochs between kNN evaluations, where labels exist; 0: none")
      .between(0, 1e6);
  options.add("knn-bank", config.knn_bank, "N", "training images it compares with; 0: all").between(0, 1e15);
  options.add("knn-queries", config.knn_queries, "N", "test images it classifies; 0: all").between(0, 1e15);
  options.add("knn-k", config.knn.k, "N", "neighbours that vote").between(1, 1e6);
  options.add("knn-temperature", config.knn.temperature, "X", "of their votes").above(0);
  options
      .add("probe-images", config.probe_images, "N",
           "training images whose vectors show whether the representation collapses; 0: none")
      .between(0, 1e6);
  options
      .add("probe-every", config.probe_every, "N",
           "steps between looks at them; 0: at ends of epochs, under 1 % of the time")
      .between(0, 1e9);
  options.add("checkpoint-every", config.checkpoint_every, "N", "epochs between checkpoints").between(1, 1e6);
}

void PretrainOptions::resolve(Options& options) {
  const std::string method = options.raw("method", config.method);
  method_info(method).defaults(config);
  config.method = method;
  options.apply();
  resolve_views(options);
  validate(config);
}

void PretrainOptions::resolve_views(Options& options) {
  set_augmentation(config, config.augmentation);
  for (int view = 0; view < 2; ++view) {
    AugmentPolicy& policy = config.view_policies[view];
    for (const Setting& setting : view_settings_[0])
      if (options.given(setting.key)) set_augment_setting(policy, setting.key, setting.value);
    if (view == 1)
      for (const Setting& setting : view_settings_[1])
        if (!setting.value.empty()) set_augment_setting(policy, setting.key, setting.value);
    validate(policy);
  }
  const auto first = augment_settings(config.view_policies[0]), second = augment_settings(config.view_policies[1]);
  for (std::size_t i = 0; i < first.size(); ++i) {
    view_settings_[0][i].value = first[i].second;
    view_settings_[1][i].value = second[i].second == first[i].second ? std::string() : second[i].second;
  }
}

void read_run(const std::filesystem::path& folder, PretrainOptions& options) {
  check(RunFolder::holds_run(folder), "--run: ", folder.string(), " holds no run (no config.ini in it)");
  Options declared("pretrain", "", "");
  options.declare(declared);
  declared.read({});
  declared.read_file(folder / "config.ini");
  options.resolve(declared);
}

}  // namespace kagami::apps
