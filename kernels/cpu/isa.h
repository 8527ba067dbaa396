#pragma once
// Which instruction set the hot CPU kernels use. Files in kernels/cpu/isa/ are compiled once per instruction set, in a
// namespace of their own; everything else is baseline code.
#include <string_view>

namespace kagami::cpu {

enum class Isa { baseline, avx2, avx512 };

/// The best set this processor has, or what set_isa chose.
Isa isa();
/// Throws std::invalid_argument when the processor lacks it. Call before the first kernel runs.
void set_isa(Isa isa);
/// "auto", "baseline", "avx2", "avx512"; throws std::invalid_argument on anything else.
void set_isa(std::string_view name);
const char* name_of(Isa isa);
/// The processor's own name, for logs and result files.
const char* processor_name();

}  // namespace kagami::cpu
