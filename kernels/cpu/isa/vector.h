#pragma once
// The vector type of the instruction set this file is compiled for. Include only from kernels/cpu/isa/*.cpp: everything
// here lives in a namespace named after the instruction set (KAGAMI_ISA), so that no code compiled for AVX-512 can
// replace baseline code at link time. For the same reason files there use no inline functions of other namespaces
// (std::min on floats included) that the compiler might keep out of line.
#include <cstddef>
#include <cstdint>

#ifndef KAGAMI_ISA
#error "kernels/cpu/isa files are compiled by kernels/CMakeLists.txt once per instruction set"
#endif

#define KAGAMI_INLINE inline __attribute__((always_inline))

namespace kagami::cpu::KAGAMI_ISA {

#if defined(__AVX512F__)
constexpr int lanes = 16;  // floats in a vector
constexpr int registers = 32;
#elif defined(__AVX__)
constexpr int lanes = 8;
constexpr int registers = 16;
#elif defined(__aarch64__)
constexpr int lanes = 4;
constexpr int registers = 32;
#else
constexpr int lanes = 4;
constexpr int registers = 16;
#endif

typedef float Float __attribute__((vector_size(4 * lanes)));
typedef float UnalignedFloat __attribute__((vector_size(4 * lanes), aligned(4), may_alias));
typedef std::int32_t Int __attribute__((vector_size(4 * lanes)));

KAGAMI_INLINE Float load(const float* p) { return *reinterpret_cast<const UnalignedFloat*>(p); }
KAGAMI_INLINE void store(float* p, Float v) { *reinterpret_cast<UnalignedFloat*>(p) = v; }
KAGAMI_INLINE Float broadcast(float x) { return x - Float{}; }

}  // namespace kagami::cpu::KAGAMI_ISA
