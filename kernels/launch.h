#pragma once
// What a kernel needs to run: one struct per back end. Kernels are overloads f(Cpu, ...) and f(Cuda, ...) with one
// signature, templated on the element type, so a missing kernel is a compile error.
#include "kernels/arena.h"

struct CUstream_st;

namespace kagami {

struct Cpu {
  Arena* memory;
};

#if KAGAMI_HAS_CUDA
struct Cuda {
  Arena* memory;
  CUstream_st* stream;
  int multiprocessors;  ///< the size of a grid may depend on it, the order of a summation never
  bool tf32 = false;    ///< products of floats round their operands to tf32; false: exact fp32
};
#endif

}  // namespace kagami
