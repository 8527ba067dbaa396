#include "kernels/cpu/conv_algorithm.h"

#include <atomic>
#include <stdexcept>
#include <string>

#include "kernels/cpu/isa/select.h"
#include "kernels/cpu/isa/winograd.h"

namespace kagami::cpu {
namespace {

enum class Choice { by_shape, direct, winograd };
constexpr struct {
  std::string_view name;
  Choice choice;
} choices[] = {{"auto", Choice::by_shape}, {"direct", Choice::direct}, {"winograd", Choice::winograd}};

std::atomic<Choice> current{Choice::by_shape};

bool winograd_possible(const Conv2dShape& shape, ConvPass pass) {
  const int lanes = select(baseline::winograd_kernels, avx2::winograd_kernels, avx512::winograd_kernels).lanes;
  const bool few_channels = pass == ConvPass::forward && shape.c <= winograd_few_channels;
  return shape.r == 3 && shape.s == 3 && shape.stride == 1 && shape.pad <= 2 &&
         (shape.c % lanes == 0 || few_channels) && shape.k % lanes == 0;
}

/// Winograd needs a quarter of the products but transforms 36 values for 16 outputs: it pays unless most of a 4x4 patch
/// lies outside the outputs.
bool winograd_pays(const Conv2dShape& shape, ConvPass pass) {
  const bool to_x = pass == ConvPass::dgrad;
  const int h = to_x ? shape.h : shape.out_h(), w = to_x ? shape.w : shape.out_w();
  return h >= 3 && w >= 3;
}

}  // namespace

const char* name_of(ConvAlgorithm algorithm) { return algorithm == ConvAlgorithm::direct ? "direct" : "winograd"; }

void set_conv_algorithm(std::string_view name) {
  for (const auto& known : choices)
    if (known.name == name) {
      current = known.choice;
      return;
    }
  throw std::invalid_argument("unknown convolution algorithm '" + std::string(name) +
                              "': use auto, direct or winograd");
}

ConvAlgorithm conv_algorithm(const Conv2dShape& shape, ConvPass pass) {
  if (current == Choice::direct || !winograd_possible(shape, pass)) return ConvAlgorithm::direct;
  if (current == Choice::winograd || winograd_pays(shape, pass)) return ConvAlgorithm::winograd;
  return ConvAlgorithm::direct;
}

}  // namespace kagami::cpu
