#pragma once
// Loops of augment_resize.cpp and augment_blur.cpp that the table in augment_color.cpp names.
#include "kernels/cpu/augment_kernels.h"
#include "kernels/cpu/isa/vector.h"

namespace kagami::cpu::KAGAMI_ISA {

void resize(const std::uint8_t* crop, std::int64_t row_bytes, int width, const AxisWeights& vertical,
            const AxisWeights& horizontal, bool mirror, float* columns, const Planes& out);
void store_view(const Planes& x, const float* mean, const float* inverse_std, float* out);
void blur(const Planes& x, const float* weights, int radius, float* scratch);

}  // namespace kagami::cpu::KAGAMI_ISA
