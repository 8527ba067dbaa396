#pragma once
// What every encoder offers: images in, features h out. Evaluations use h, heads come after it.
#include "engine/ops.h"

namespace kagami {

class Backbone {
 public:
  virtual ~Backbone() = default;
  /// [n, height, width, 3] to [n, features()].
  virtual Tensor forward(const Tensor& images, const BatchNormOptions& norm) const = 0;
  virtual int features() const = 0;
};

}  // namespace kagami
