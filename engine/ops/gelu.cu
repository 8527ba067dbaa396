#include "engine/elementwise.h"
#include "engine/ops.h"

namespace kagami {
namespace {

struct Gelu {
  static constexpr const char* name = "gelu";
  template <class T>
  KAGAMI_HD static T cdf(T x) {
    return T(0.5) * (T(1) + std::erf(x * T(0.70710678118654752)));
  }
  template <class T>
  KAGAMI_HD static T f(T x) {
    return x * cdf(x);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    return {cdf(x) + x * T(0.39894228040143268) * std::exp(T(-0.5) * x * x)};
  }
};

}  // namespace

Tensor gelu(const Tensor& x) { return elementwise(Gelu{}, x); }

}  // namespace kagami
