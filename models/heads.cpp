#include "models/heads.h"

namespace kagami {
namespace {

/// inputs, (layers - 1) times hidden, outputs
std::vector<int> widths_of(int inputs, int hidden, int outputs, int layers) {
  check(layers >= 1, "head: needs at least one layer, got ", layers);
  std::vector<int> widths(static_cast<std::size_t>(layers) + 1, hidden);
  widths.front() = inputs;
  widths.back() = outputs;
  return widths;
}

}  // namespace

MlpOptions simclr_projector(int inputs, int hidden, int outputs, int layers) {
  return {.widths = widths_of(inputs, hidden, outputs, layers), .output_norm = NormKind::scale, .output_bias = false};
}

MlpOptions moco_head(int inputs, int hidden, int outputs) {
  return {.widths = widths_of(inputs, hidden, outputs, hidden > 0 ? 2 : 1),
          .hidden_norm = NormKind::none,
          .hidden_bias = true};
}

MlpOptions byol_mlp(int inputs, int hidden, int outputs) {
  return {.widths = {inputs, hidden, outputs}, .hidden_bias = true, .output_bias = false};
}

MlpOptions simsiam_projector(int inputs, int width, int layers) {
  return {.widths = widths_of(inputs, width, width, layers), .output_norm = NormKind::fixed, .output_bias = false};
}

MlpOptions simsiam_predictor(int width, int bottleneck) { return {.widths = {width, bottleneck, width}}; }

}  // namespace kagami
