#pragma once
// What every command that computes takes.
#include <cstdint>
#include <string>

#include "apps/support/options.h"

namespace kagami::apps {

struct ComputeOptions {
  int threads = 0;  ///< 0: as many as processors
  std::string cpu = "auto", conv = "auto";

  void declare(Options& options);
  /// Sets them for the process, before the first kernel; `cpu` and `threads` become what was chosen.
  void apply();
};

}  // namespace kagami::apps
