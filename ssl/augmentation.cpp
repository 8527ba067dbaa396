#include "ssl/augmentation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "engine/error.h"

namespace kagami {
namespace {

using enum AugmentStage;

constexpr float imagenet_mean[3] = {0.485F, 0.456F, 0.406F}, imagenet_std[3] = {0.229F, 0.224F, 0.225F};
constexpr float cifar_mean[3] = {0.4914F, 0.4822F, 0.4465F}, cifar_std[3] = {0.2470F, 0.2435F, 0.2616F};

void set_normalization(AugmentPolicy& policy, const float* mean, const float* std) {
  std::copy_n(mean, 3, policy.mean);
  std::copy_n(std, 3, policy.std);
}

void set_order(AugmentPolicy& policy, const AugmentStage (&order)[augment_stages]) {
  std::copy(std::begin(order), std::end(order), policy.order);
}

void set_jitter(AugmentPolicy& policy, float brightness, float contrast, float saturation, float hue) {
  policy.brightness = brightness;
  policy.contrast = contrast;
  policy.saturation = saturation;
  policy.hue = hue;
}

AugmentPolicy imagenet() {
  AugmentPolicy policy;
  set_view_size(policy, 224);
  set_normalization(policy, imagenet_mean, imagenet_std);
  return policy;
}

AugmentPolicy cifar() {
  AugmentPolicy policy;
  set_normalization(policy, cifar_mean, cifar_std);
  return policy;
}

AugmentPolicy simclr() {
  AugmentPolicy policy = imagenet();
  policy.interpolation = Interpolation::bicubic;
  set_jitter(policy, 0.8F, 0.8F, 0.8F, 0.2F);
  policy.blur_probability = 0.5F;
  return policy;
}

AugmentPolicy simclr_cifar() {
  AugmentPolicy policy = cifar();
  policy.interpolation = Interpolation::bicubic;
  set_jitter(policy, 0.4F, 0.4F, 0.4F, 0.1F);
  return policy;
}

AugmentPolicy moco_v2() {
  AugmentPolicy policy = imagenet();
  policy.crop_scale_min = 0.2F;
  policy.blur_probability = 0.5F;
  set_order(policy, {jitter, gray, blur, flip, solarize});
  return policy;
}

AugmentPolicy simsiam_cifar() {
  AugmentPolicy policy = cifar();
  policy.crop_scale_min = 0.2F;
  set_order(policy, {jitter, gray, blur, flip, solarize});
  return policy;
}

AugmentPolicy byol(float blur_probability, float solarize_probability) {
  AugmentPolicy policy = imagenet();
  policy.interpolation = Interpolation::bicubic;
  set_jitter(policy, 0.4F, 0.4F, 0.2F, 0.1F);
  policy.blur_probability = blur_probability;
  policy.solarize_probability = solarize_probability;
  return policy;
}
AugmentPolicy byol_1() { return byol(1.0F, 0.0F); }
AugmentPolicy byol_2() { return byol(0.1F, 0.2F); }

AugmentPolicy smoke() {
  AugmentPolicy policy = cifar();
  policy.crop_scale_min = 0.2F;
  return policy;
}

AugmentPolicy none() {
  AugmentPolicy policy = cifar();
  policy.random_crop = false;
  policy.flip_probability = policy.jitter_probability = policy.gray_probability = 0.0F;
  return policy;
}

struct Preset {
  const char* name;
  AugmentPolicy (*make)();
};
constexpr Preset presets[] = {{"simclr", simclr},
                              {"simclr-cifar", simclr_cifar},
                              {"simsiam-cifar", simsiam_cifar},
                              {"moco-v2", moco_v2},
                              {"byol-1", byol_1},
                              {"byol-2", byol_2},
                              {"smoke", smoke},
                              {"none", none}};

/// Names of the values of an enum, in the order of its values.
constexpr const char* interpolation_names[] = {"bilinear", "bicubic"};
constexpr const char* stage_names[] = {"flip", "jitter", "gray", "blur", "solarize"};

template <class Range, class Name>
std::string joined(const Range& range, const Name& name, const char* separator) {
  std::string out;
  for (const auto& item : range) {
    if (!out.empty()) out.append(separator);
    out.append(name(item));
  }
  return out;
}

std::string quoted(std::string_view key, std::string_view value) {
  return text("augmentation: ", key, " = '", value, "'");
}

template <class Number>
Number parse(std::string_view key, std::string_view value) {
  Number number{};
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  check(error == std::errc{} && stop == end, quoted(key, value), " is not ",
        std::is_integral_v<Number> ? "a whole number" : "a number");
  return number;
}

template <class Number>
std::string written(Number number) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr};
}

template <std::size_t N>
int index_of(const char* const (&names)[N], std::string_view key, std::string_view value) {
  const auto found = std::find(std::begin(names), std::end(names), value);
  check(found != std::end(names), quoted(key, value), ": use ",
        joined(
            names, [](const char* name) { return name; }, ", "));
  return static_cast<int>(found - std::begin(names));
}

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> items;
  for (std::size_t first = 0; first <= list.size();) {
    const std::size_t comma = std::min(list.find(',', first), list.size());
    items.push_back(list.substr(first, comma - first));
    first = comma + 1;
  }
  return items;
}

/// A setting of each type: how it is read and written.
void read(std::string_view key, std::string_view value, float& to) { to = parse<float>(key, value); }
void read(std::string_view key, std::string_view value, int& to) { to = parse<int>(key, value); }
void read(std::string_view key, std::string_view value, bool& to) {
  check(value == "yes" || value == "no", quoted(key, value), ": use yes or no");
  to = value == "yes";
}
void read(std::string_view key, std::string_view value, Interpolation& to) {
  to = static_cast<Interpolation>(index_of(interpolation_names, key, value));
}
void read(std::string_view key, std::string_view value, float (&to)[3]) {
  const std::vector<std::string_view> items = split(value);
  check(items.size() == 3, quoted(key, value), " needs three numbers (red,green,blue)");
  for (std::size_t i = 0; i < 3; ++i) to[i] = parse<float>(key, items[i]);
}
void read(std::string_view key, std::string_view value, AugmentStage (&to)[augment_stages]) {
  const std::vector<std::string_view> items = split(value);
  check(items.size() == augment_stages, quoted(key, value), " needs each of ",
        joined(
            stage_names, [](const char* name) { return name; }, ","),
        " once");
  for (std::size_t i = 0; i < augment_stages; ++i)
    to[i] = static_cast<AugmentStage>(index_of(stage_names, key, items[i]));
}

std::string write(float value) { return written(value); }
std::string write(int value) { return written(value); }
std::string write(bool value) { return value ? "yes" : "no"; }
std::string write(Interpolation value) { return interpolation_names[static_cast<int>(value)]; }
std::string write(const float (&value)[3]) { return joined(value, written<float>, ","); }
std::string write(const AugmentStage (&value)[augment_stages]) {
  return joined(
      value, [](AugmentStage stage) { return stage_names[static_cast<int>(stage)]; }, ",");
}

/// Calls visit(key, member) for every setting of a policy.
template <class Policy, class Visit>
void each_setting(Policy& policy, const Visit& visit) {
  visit("size", policy.size);
  visit("interpolation", policy.interpolation);
  visit("random-crop", policy.random_crop);
  visit("crop-scale-min", policy.crop_scale_min);
  visit("crop-scale-max", policy.crop_scale_max);
  visit("crop-ratio-min", policy.crop_ratio_min);
  visit("crop-ratio-max", policy.crop_ratio_max);
  visit("flip-probability", policy.flip_probability);
  visit("jitter-probability", policy.jitter_probability);
  visit("brightness", policy.brightness);
  visit("contrast", policy.contrast);
  visit("saturation", policy.saturation);
  visit("hue", policy.hue);
  visit("gray-probability", policy.gray_probability);
  visit("blur-probability", policy.blur_probability);
  visit("blur-kernel", policy.blur_kernel);
  visit("blur-sigma-min", policy.blur_sigma_min);
  visit("blur-sigma-max", policy.blur_sigma_max);
  visit("solarize-probability", policy.solarize_probability);
  visit("solarize-threshold", policy.solarize_threshold);
  visit("order", policy.order);
  visit("mean", policy.mean);
  visit("std", policy.std);
}

void check_range(const char* low_key, float low, const char* high_key, float high, float least, float most) {
  check(low > least && low <= high && high <= most, "augmentation: ", low_key, " = ", low, " and ", high_key, " = ",
        high, " must be in order, above ", least, " and at most ", most);
}

void check_probabilities(const AugmentPolicy& policy) {
  each_setting(policy, [](std::string_view key, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const float&>)
      if (key.ends_with("-probability"))
        check(value >= 0 && value <= 1, "augmentation: ", key, " = ", value, " must be in [0, 1]");
  });
}

void check_order(const AugmentPolicy& policy) {
  AugmentStage sorted[augment_stages];
  std::copy(std::begin(policy.order), std::end(policy.order), sorted);
  std::sort(std::begin(sorted), std::end(sorted));
  check(std::adjacent_find(std::begin(sorted), std::end(sorted)) == std::end(sorted), "augmentation: order = '",
        write(policy.order), "' needs each of ",
        joined(
            stage_names, [](const char* name) { return name; }, ","),
        " once");
}

}  // namespace

AugmentPolicy augment_policy(std::string_view name) {
  for (const Preset& preset : presets)
    if (name == preset.name) return preset.make();
  throw InputError(text("unknown augmentation policy '", name, "': use ",
                        joined(
                            presets, [](const Preset& preset) { return preset.name; }, ", ")));
}

std::vector<std::string> augment_policy_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets) names.emplace_back(preset.name);
  return names;
}

void validate(const AugmentPolicy& policy) {
  check(policy.size >= 1 && policy.size <= 4096, "augmentation: size = ", policy.size, " must be in [1, 4096]");
  check_range("crop-scale-min", policy.crop_scale_min, "crop-scale-max", policy.crop_scale_max, 0, 1);
  check_range("crop-ratio-min", policy.crop_ratio_min, "crop-ratio-max", policy.crop_ratio_max, 0, 100);
  check_probabilities(policy);
  for (const auto& [key, value] :
       {std::pair{"brightness", policy.brightness}, {"contrast", policy.contrast}, {"saturation", policy.saturation}})
    check(value >= 0 && value <= 10, "augmentation: ", key, " = ", value, " must be in [0, 10]");
  check(policy.hue >= 0 && policy.hue <= 0.5F, "augmentation: hue = ", policy.hue, " must be in [0, 0.5] turns");
  check_range("blur-sigma-min", policy.blur_sigma_min, "blur-sigma-max", policy.blur_sigma_max, 0, 1000);
  check(policy.blur_kernel >= 1 && policy.blur_kernel % 2 == 1, "augmentation: blur-kernel = ", policy.blur_kernel,
        " must be odd and positive");
  check(policy.blur_probability == 0 || policy.blur_kernel / 2 < policy.size,
        "augmentation: blur-kernel = ", policy.blur_kernel, " is too wide for size = ", policy.size, ": use at most ",
        2 * policy.size - 1);
  check(policy.solarize_threshold >= 0 && policy.solarize_threshold <= 1,
        "augmentation: solarize-threshold = ", policy.solarize_threshold, " must be in [0, 1]");
  check_order(policy);
  for (int c = 0; c < 3; ++c) {
    check(std::isfinite(policy.mean[c]), "augmentation: mean = ", write(policy.mean), " must be finite");
    check(policy.std[c] > 0 && std::isfinite(policy.std[c]), "augmentation: std = ", write(policy.std),
          " must be positive");
  }
}

void set_view_size(AugmentPolicy& policy, int size) {
  policy.size = size;
  policy.blur_kernel = 2 * (size / 20) + 1;
}

void set_augment_setting(AugmentPolicy& policy, std::string_view key, std::string_view value) {
  bool known = false;
  std::vector<const char*> keys;
  each_setting(policy, [&](const char* name, auto& member) {
    keys.push_back(name);
    if (key != name) return;
    known = true;
    read(key, value, member);
  });
  if (key == "size") set_view_size(policy, policy.size);
  check(known, "augmentation: unknown setting '", key, "': use ",
        joined(
            keys, [](const char* name) { return name; }, ", "));
}

std::vector<std::pair<std::string, std::string>> augment_settings(const AugmentPolicy& policy) {
  std::vector<std::pair<std::string, std::string>> settings;
  each_setting(policy, [&](const char* name, const auto& member) { settings.emplace_back(name, write(member)); });
  return settings;
}

EvaluationTransform evaluation_transform(const AugmentPolicy& policy) {
  EvaluationTransform transform;
  transform.size = policy.size;
  transform.resize = policy.size <= 64 ? policy.size : policy.size * 8 / 7;
  transform.interpolation = policy.interpolation;
  std::copy(std::begin(policy.mean), std::end(policy.mean), transform.mean);
  std::copy(std::begin(policy.std), std::end(policy.std), transform.std);
  return transform;
}

}  // namespace kagami
