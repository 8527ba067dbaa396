// An elementwise op: its value and its derivative.
#include "engine/elementwise.h"
#include "own_ops.h"

struct Softsign {
  static constexpr const char* name = "softsign";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return x / (T(1) + std::abs(x));
  }
  template <class T>
  KAGAMI_HD static kagami::Vec<T, 1> df(T x) {
    const T s = T(1) + std::abs(x);
    return {T(1) / (s * s)};
  }
};

kagami::Tensor softsign(const kagami::Tensor& x) { return kagami::elementwise(Softsign{}, x); }
