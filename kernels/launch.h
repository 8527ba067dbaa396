#pragma once
// What a kernel needs to run: one struct per back end. Kernels are overloads f(Cpu, ...) and f(Cuda, ...) with one
// signature, templated on the element type, so a missing kernel is a compile error.
#include "kernels/arena.h"

namespace kagami {

struct Cpu {
  Arena* memory;
};

}  // namespace kagami
