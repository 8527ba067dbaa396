#pragma once
// Projection and prediction heads, as the papers build them. Each is an Mlp; the names say whose it is.
#include "models/mlp.h"

namespace kagami {

/// SimCLR (Chen et al. 2020, official code): Linear - BN - ReLU, ..., Linear - BN with gamma only; no biases.
MlpOptions simclr_projector(int inputs, int hidden, int outputs, int layers = 2);
/// MoCo v1 (`hidden` 0): one Linear. v2: Linear - ReLU - Linear; no batch norm.
MlpOptions moco_head(int inputs, int hidden, int outputs);
/// BYOL (Grill et al. 2020), projector and predictor: Linear with bias - BN - ReLU - Linear without bias.
MlpOptions byol_mlp(int inputs, int hidden, int outputs);
/// SimSiam (Chen and He 2020): Linear - BN - ReLU, ..., Linear - BN without parameters; no biases (the last one has no
/// effect before batch norm; the official code freezes it).
MlpOptions simsiam_projector(int inputs, int width, int layers = 3);
/// SimSiam: Linear without bias - BN - ReLU - Linear with bias.
MlpOptions simsiam_predictor(int width, int bottleneck);

}  // namespace kagami
