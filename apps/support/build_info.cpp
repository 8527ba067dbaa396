#include "apps/support/build_info.h"

#include "engine/error.h"
#include "kagami_commit.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

namespace kagami::apps {

const char* version() { return KAGAMI_VERSION; }
const char* commit() { return KAGAMI_COMMIT; }

std::string compiler() {
#ifdef __clang__
  return text("clang ", __clang_major__, ".", __clang_minor__, ".", __clang_patchlevel__);
#else
  return text("g++ ", __GNUC__, ".", __GNUC_MINOR__, ".", __GNUC_PATCHLEVEL__);
#endif
}

std::string version_text() {
  return text("Kagami ", version(), "\ncommit     ", commit(), "\ncompiler   ", compiler(), "\nprocessor  ",
              cpu::processor_name(), "\nkernels    ", cpu::name_of(cpu::isa()), ", ", cpu::threads(), " threads");
}

}  // namespace kagami::apps
