#pragma once
// The parts that methods build from a config: encoder, projector, batch norm's mode.
#include "models/mlp.h"
#include "models/registry.h"
#include "ssl/config.h"

namespace kagami {

BackboneOptions backbone_options(const PretrainConfig& config);
/// The MLP from `features` (the encoder's) to projector_dim.
MlpOptions projector_options(const PretrainConfig& config, int features);
/// Train mode on both views at once: statistics per view, or over all rows.
BatchNormOptions training_norm(const PretrainConfig& config);

}  // namespace kagami
