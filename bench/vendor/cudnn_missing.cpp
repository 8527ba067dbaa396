// Where cuDNN's headers were missing when this was built.
#include "bench/vendor/library.h"

namespace kagami::bench {

std::unique_ptr<Cudnn> Cudnn::load(const Device&, std::string* why_none) {
  *why_none = "built without cuDNN's headers";
  return nullptr;
}

}  // namespace kagami::bench
