#include "engine/elementwise.h"
#include "engine/ops.h"

namespace kagami {
namespace {

struct Clamp {
  static constexpr const char* name = "clamp";
  double low, high;
  template <class T>
  KAGAMI_HD T f(T x) const {
    return x < T(low) ? T(low) : x > T(high) ? T(high) : x;
  }
  template <class T>
  KAGAMI_HD Vec<T, 1> df(T x) const {
    return {T(x >= T(low) && x <= T(high))};
  }
};

struct Where {
  static constexpr const char* name = "where";
  template <class T>
  KAGAMI_HD static T f(T mask, T a, T b) {
    return mask != T(0) ? a : b;
  }
  template <class T>
  KAGAMI_HD static Vec<T, 3> df(T mask, T, T) {
    return {T(0), T(mask != T(0)), T(mask == T(0))};
  }
};

}  // namespace

Tensor clamp(const Tensor& x, double low, double high) {
  check(low <= high, "clamp: low ", low, " exceeds high ", high);
  return elementwise(Clamp{low, high}, x);
}

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  check(mask && a, "where: an input is empty");
  return elementwise(Where{}, mask.dtype() == a.dtype() ? mask.detach() : mask.to(a.dtype()), a, b);
}

}  // namespace kagami
