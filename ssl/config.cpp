#include "ssl/config.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "engine/error.h"
#include "engine/schedule.h"

namespace kagami {
namespace {

void check_choice(const char* option, const std::string& value, std::initializer_list<const char*> allowed) {
  std::string list;
  for (const char* name : allowed) {
    if (value == name) return;
    list += list.empty() ? name : std::string(", ") + name;
  }
  check(false, option, ": '", value, "' is none of ", list);
}

void check_range(const char* option, double value, double low, double high) {
  check(value >= low && value <= high, option, ": ", value, " is outside ", low, " ... ", high);
}

void check_at_least(const char* option, double value, double low) {
  check(value >= low && std::isfinite(value), option, ": ", value, " is below ", low);
}

void check_positive(const char* option, double value) {
  check(value > 0 && std::isfinite(value), option, ": ", value, " is not positive");
}

}  // namespace

double scaled_lr(const PretrainConfig& config) {
  if (config.lr_scaling == "linear") return config.lr * config.batch / 256;
  if (config.lr_scaling == "sqrt") return config.lr * std::sqrt(static_cast<double>(config.batch));
  return config.lr;
}

std::string describe_lr(const PretrainConfig& config) {
  const double scaled = scaled_lr(config);
  if (config.lr_scaling == "linear") return text(config.lr, " x ", config.batch, " / 256 = ", scaled);
  if (config.lr_scaling == "sqrt") return text(config.lr, " x sqrt(", config.batch, ") = ", scaled);
  return text(scaled, ", not scaled");
}

void set_augmentation(PretrainConfig& config, const std::string& names) {
  const std::size_t comma = names.find(',');
  config.view_policies[0] = augment_policy(names.substr(0, comma));
  config.view_policies[1] =
      comma == std::string::npos ? config.view_policies[0] : augment_policy(names.substr(comma + 1));
  config.augmentation = names;
}

void validate(const PretrainConfig& config) {
  check_choice("projector-hidden-bn", config.projector_hidden_bn, {"none", "fixed", "scale", "affine"});
  check_choice("projector-output-bn", config.projector_output_bn, {"none", "fixed", "scale", "affine"});
  check_choice("bn-views", config.bn_views, {"per-view", "joint"});
  check_choice("optimizer", config.optimizer, {"sgd", "lars", "adamw"});
  check_choice("lr-scaling", config.lr_scaling, {"linear", "sqrt", "none"});
  check_choice("lars-norm", config.lars_norm, {"joint", "sum"});
  schedule_kind(config.schedule);
  check_range("projector-layers", config.projector_layers, 1, 8);
  check_at_least("projector-hidden", config.projector_hidden, 1);
  check_at_least("projector-dim", config.projector_dim, 1);
  check_at_least("width", config.width, 0);
  check_at_least("epochs", config.epochs, 1);
  check_at_least("batch", config.batch, 2);
  check_at_least("micro-batch", config.micro_batch, 0);
  check(config.micro_batch != 1, "micro-batch: parts of 1 image leave batch norm nothing to compare; give at least 2");
  check(config.micro_batch == 0 || config.batch % config.micro_batch == 0, "micro-batch: parts of ", config.micro_batch,
        " images do not divide a batch of ", config.batch);
  check_positive("temperature", config.temperature);
  check_positive("lr", config.lr);
  check_at_least("warmup-epochs", config.warmup_epochs, 0);
  check(config.warmup_epochs < config.epochs || config.warmup_epochs == 0, "warmup-epochs: ", config.warmup_epochs,
        " leaves nothing of ", config.epochs, " epochs; give --warmup-epochs ", config.epochs / 10.0,
        ", say, or more --epochs");
  check(config.momentum >= 0 && config.momentum < 1, "momentum: ", config.momentum, " is outside [0, 1)");
  check_at_least("weight-decay", config.weight_decay, 0);
  check_positive("trust", config.trust);
  check_at_least("log-every", config.log_every, 1);
  check_at_least("knn-every", config.knn_every, 0);
  check_at_least("knn-bank", static_cast<double>(config.knn_bank), 0);
  check_at_least("knn-queries", static_cast<double>(config.knn_queries), 0);
  check_at_least("knn-k", config.knn.k, 1);
  check_positive("knn-temperature", config.knn.temperature);
  check(config.probe_images == 0 || config.probe_images >= 2, "probe-images: ", config.probe_images,
        " is too few; give at least 2, or 0 for no probe");
  check_at_least("probe-every", static_cast<double>(config.probe_every), 0);
  check_at_least("checkpoint-every", config.checkpoint_every, 1);
  for (const AugmentPolicy& policy : config.view_policies) validate(policy);
  check(config.view_policies[0].size == config.view_policies[1].size, "augmentation: the views differ in size, ",
        config.view_policies[0].size, " and ", config.view_policies[1].size);
}

}  // namespace kagami
