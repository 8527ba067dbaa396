#pragma once
// Which Kagami this is, and what it runs on.
#include <string>

namespace kagami::apps {

const char* version();
const char* commit();  ///< with "+" when the tree had changes; "unknown" when built outside a git checkout
std::string compiler();
/// Version, commit, compiler, processor and kernels, a line each.
std::string version_text();

}  // namespace kagami::apps
