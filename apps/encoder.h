#pragma once
// The networks that evaluations look at: of a run, or of a weights file.
#include <filesystem>
#include <memory>
#include <string>

#include "apps/pretrain_options.h"
#include "apps/support/options.h"
#include "ssl/features.h"
#include "ssl/method.h"

namespace kagami::apps {

/// A network in eval mode. Copies share it.
struct Encoder {
  Encode encode;  ///< to h, or to the projector's output; takes and gives tensors of `device`
  Device device;
  EvaluationTransform transform;
  std::string name;  ///< "runs/first after step 589"
};

enum class Layer { h, projector };

/// The network of a run as its checkpoint (`previous`: the one before the last) has it, or as it was before the first
/// step.
Encoder encoder_of_run(const std::filesystem::path& folder, const PretrainOptions& run, Device device,
                       const Precision& precision, Layer layer = Layer::h, bool previous = false);
Encoder untrained_encoder(const PretrainOptions& run, Device device, const Precision& precision);

void declare_previous_checkpoint(Options& options, bool& previous);

/// The options with which a command names its network.
struct EncoderOptions {
  std::string run, weights, arch = "resnet18", stem = "cifar", augmentation, layer = "h";
  int width = 0, size = 0;
  bool previous_checkpoint = false;

  /// `layers`: whether --layer makes sense.
  void declare(Options& options, bool layers);
  /// Reads the run's options; where the command has no --data, the images are the run's. Call before load().
  void resolve(const Options& options, DataSource& source);
  Encoder load(const DeviceOption& where) const;

 private:
  Encoder load_weights(Device device, const Precision& precision) const;
  PretrainOptions saved_;  // where --run was given
};

}  // namespace kagami::apps
