#include "engine/elementwise.h"
#include "engine/ops.h"

namespace kagami {
namespace {

struct Exp {
  static constexpr const char* name = "exp";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return std::exp(x);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    return {std::exp(x)};
  }
};

struct Log {
  static constexpr const char* name = "log";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return std::log(x);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    return {T(1) / x};
  }
};

struct Sqrt {
  static constexpr const char* name = "sqrt";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return std::sqrt(x);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    return {T(0.5) / std::sqrt(x)};
  }
};

struct Pow {
  static constexpr const char* name = "pow";
  double exponent;
  template <class T>
  KAGAMI_HD T f(T x) const {
    return std::pow(x, T(exponent));
  }
  template <class T>
  KAGAMI_HD Vec<T, 1> df(T x) const {
    return {exponent == 0 ? T(0) : T(exponent) * std::pow(x, T(exponent - 1))};  // x^0 is constant at x = 0 too
  }
};

struct Abs {
  static constexpr const char* name = "abs";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return std::abs(x);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    return {T(x > T(0)) - T(x < T(0))};
  }
};

}  // namespace

Tensor exp(const Tensor& x) { return elementwise(Exp{}, x); }
Tensor log(const Tensor& x) { return elementwise(Log{}, x); }
Tensor sqrt(const Tensor& x) { return elementwise(Sqrt{}, x); }
Tensor pow(const Tensor& x, double exponent) { return elementwise(Pow{exponent}, x); }
Tensor abs(const Tensor& x) { return elementwise(Abs{}, x); }

}  // namespace kagami
