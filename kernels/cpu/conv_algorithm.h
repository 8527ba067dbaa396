#pragma once
// Which algorithm a convolution of floats takes.
#include <string_view>

#include "kernels/conv2d.h"

namespace kagami::cpu {

enum class ConvAlgorithm { direct, winograd };
enum class ConvPass { forward, dgrad, wgrad };
const char* name_of(ConvAlgorithm algorithm);

/// "auto" picks by shape, "direct" always takes the direct kernels, "winograd" takes Winograd wherever it can be used.
/// Process-wide, like set_isa; call before the first kernel runs. Throws std::invalid_argument on any other name.
void set_conv_algorithm(std::string_view name);
/// What a pass over `shape` takes now.
ConvAlgorithm conv_algorithm(const Conv2dShape& shape, ConvPass pass);

}  // namespace kagami::cpu
