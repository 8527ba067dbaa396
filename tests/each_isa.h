#pragma once
// For tests that must hold in every instruction set.
#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/cpu/isa.h"

namespace kagami::test {

/// Runs f with every instruction set that this processor has.
template <class F>
void for_each_isa(F&& f) {
  for (const cpu::Isa isa : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
    try {
      cpu::set_isa(isa);
    } catch (const std::invalid_argument&) {
      continue;
    }
    SCOPED_TRACE(cpu::name_of(isa));
    f();
  }
  cpu::set_isa("auto");
}

}  // namespace kagami::test
