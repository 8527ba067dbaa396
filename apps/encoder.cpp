#include "apps/encoder.h"

#include <set>

#include "engine/autograd.h"
#include "engine/checkpoint.h"
#include "engine/error.h"
#include "engine/ops.h"
#include "models/layers.h"
#include "models/registry.h"

namespace kagami::apps {
namespace fs = std::filesystem;

namespace {

struct WeightsNetwork {
  Params params;
  std::unique_ptr<Backbone> backbone;
};

/// "layer" of "layer4.0.conv1.weight": the part of a network that a tensor belongs to, without its number.
std::string part_of(const std::string& tensor) {
  const std::string first = tensor.substr(0, tensor.find('.'));
  return first.substr(0, first.find_last_not_of("0123456789") + 1);
}

/// The first tensor of a backbone that the network has no place for, as another architecture leaves; heads and what
/// else a file holds are none. Empty where all found their place.
std::string first_surplus(const Params& params, const LoadReport& report) {
  std::set<std::string> parts;
  for (const Segment& segment : params.segments()) parts.insert(part_of(segment.name));
  for (const std::string& name : report.unexpected)
    if (parts.contains(part_of(name))) return name;
  return {};
}

void load_weights_into(Params& params, const SafetensorsFile& file, const std::string& arch) {
  const std::string hint = "; is it another --arch, --stem or --width?";
  LoadReport report;
  try {
    report = params.load_state_dict(read_tensors(file, Device::cpu()), {{"module.", "encoder.", "backbone."}, ""});
  } catch (const InputError& error) {
    throw InputError(text(file.path().string(), ": ", error.what(), hint));
  }
  if (!report.missing.empty())
    throw InputError(text(file.path().string(), ": ", report.missing.size(), " tensors of ", arch,
                          " are missing, the first is '", report.missing.front(), "'", hint));
  const std::string surplus = first_surplus(params, report);
  check(surplus.empty(), file.path().string(), ": ", arch, " has no '", surplus, "'", hint);
}

Encode encode_with(std::shared_ptr<Method> method, Layer layer) {
  return [method, layer](const Tensor& images) {
    const Tensor h = method->encode(images);
    return layer == Layer::h ? h : method->project(h);
  };
}

/// The parameters and running statistics of a checkpoint; its optimizer and position stay where they are.
void load_network(Method& method, const Checkpoint& checkpoint, const std::string& source) {
  std::vector<NamedTensor> network;
  for (const NamedTensor& tensor : checkpoint.tensors)
    if (!tensor.name.starts_with("optimizer.") && !tensor.name.starts_with("method.") &&
        !tensor.name.starts_with("run."))
      network.push_back(tensor);
  method.params().load_state_dict(network).require_complete(source);
}

}  // namespace

Encoder untrained_encoder(const PretrainOptions& run, Device device, const Precision& precision) {
  return {encode_with(method_info(run.config.method).make(run.config, device, precision), Layer::h), device,
          evaluation_transform(run.config.view_policies[0]), "untrained network"};
}

Encoder encoder_of_run(const fs::path& folder, const PretrainOptions& run, Device device, const Precision& precision,
                       Layer layer, bool previous) {
  const std::shared_ptr<Method> method = method_info(run.config.method).make(run.config, device, precision);
  const Checkpoint checkpoint = load_checkpoint(folder, Device::cpu(), previous);
  load_network(*method, checkpoint, folder.string());
  return {encode_with(method, layer), device, evaluation_transform(run.config.view_policies[0]),
          text(folder.string(), " after step ", checkpoint.metadata.at("step"))};
}

void declare_previous_checkpoint(Options& options, bool& previous) {
  options.add("previous-checkpoint", previous, "with --run: the checkpoint before the last, where that is damaged")
      .transient();
}

void EncoderOptions::declare(Options& options, bool layers) {
  options.group("Network");
  options.add("run", run, "RUN", "the folder of a run: its network, as it learned it").once();
  declare_previous_checkpoint(options, previous_checkpoint);
  options.add("weights", weights, "FILE", "or a .safetensors file with torchvision's parameter names").once();
  options.add("arch", arch, "NAME", "its architecture").one_of(backbone_names());
  options.add("stem", stem, "NAME", "its first layers").one_of({"imagenet", "cifar", "cifar-s2"});
  options.add("width", width, "N", "channels of its first stage; 0: the architecture's own").between(0, 4096);
  options.add("augmentation", augmentation, "NAME",
              "policy it was trained with, for the size and normalisation of its images (by stem: simclr or "
              "simclr-cifar)");
  options.add("size", size, "N", "side of its images in pixels; 0: the policy's own").between(0, 4096);
  if (layers)
    options.add("layer", layer, "NAME", "features: the encoder's output, or a run's projector's")
        .one_of({"h", "projector"});
}

void EncoderOptions::resolve(const Options& options, DataSource& source) {
  check(run.empty() || weights.empty(), "--run and --weights exclude each other: give one network");
  check(!run.empty() || !weights.empty(), "give a network: --run RUN, or --weights FILE with --arch and --stem");
  check(run.empty() || layer == "h" || weights.empty(), "--layer projector needs --run");
  if (run.empty()) {
    check(!previous_checkpoint, "--previous-checkpoint needs --run");
    check(layer == "h", "--layer projector: a weights file has no projector; give a run with --run");
    return;
  }
  read_run(run, saved_);
  source.inherit(saved_.source, options);
}

Encoder EncoderOptions::load(const DeviceOption& where) const {
  const Device device = where.device();
  const Precision precision = where.precision_on(device);
  if (run.empty()) return load_weights(device, precision);
  return encoder_of_run(run, saved_, device, precision, layer == "h" ? Layer::h : Layer::projector,
                        previous_checkpoint);
}

Encoder EncoderOptions::load_weights(Device device, const Precision& precision) const {
  const std::string policy_name =
      augmentation.empty() ? (stem == "imagenet" ? "simclr" : "simclr-cifar") : augmentation;
  AugmentPolicy policy = augment_policy(policy_name);
  if (size > 0) set_view_size(policy, size);
  const auto network = std::make_shared<WeightsNetwork>();
  BackboneOptions options;
  options.arch = arch;
  options.stem = stem;
  options.width = width;
  options.image_size = policy.size;
  network->backbone = make_backbone(Scope(network->params), options);
  network->params.allocate(device, precision, 0);
  const SafetensorsFile file{fs::path(weights)};
  file.verify();
  load_weights_into(network->params, file, arch);
  return {[network](const Tensor& images) {
            const NoGrad no_grad;
            return widen(network->backbone->forward(images, norm_options(Mode::eval)));
          },
          device, evaluation_transform(policy), weights};
}

}  // namespace kagami::apps
