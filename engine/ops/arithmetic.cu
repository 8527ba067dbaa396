#include "engine/elementwise.h"
#include "engine/ops.h"

namespace kagami {
namespace {

struct Add {
  static constexpr const char* name = "add";
  template <class T>
  KAGAMI_HD static T f(T a, T b) {
    return a + b;
  }
  template <class T>
  KAGAMI_HD static Vec<T, 2> df(T, T) {
    return {T(1), T(1)};
  }
};

struct Sub {
  static constexpr const char* name = "sub";
  template <class T>
  KAGAMI_HD static T f(T a, T b) {
    return a - b;
  }
  template <class T>
  KAGAMI_HD static Vec<T, 2> df(T, T) {
    return {T(1), T(-1)};
  }
};

struct Mul {
  static constexpr const char* name = "mul";
  template <class T>
  KAGAMI_HD static T f(T a, T b) {
    return a * b;
  }
  template <class T>
  KAGAMI_HD static Vec<T, 2> df(T a, T b) {
    return {b, a};
  }
};

struct Div {
  static constexpr const char* name = "div";
  template <class T>
  KAGAMI_HD static T f(T a, T b) {
    return a / b;
  }
  template <class T>
  KAGAMI_HD static Vec<T, 2> df(T a, T b) {
    return {T(1) / b, -a / b / b};
  }
};

struct Scale {
  static constexpr const char* name = "scale";
  double factor;
  template <class T>
  KAGAMI_HD T f(T x) const {
    return x * T(factor);
  }
  template <class T>
  KAGAMI_HD Vec<T, 1> df(T) const {
    return {T(factor)};
  }
};

struct AddScalar {
  static constexpr const char* name = "add_scalar";
  double term;
  template <class T>
  KAGAMI_HD T f(T x) const {
    return x + T(term);
  }
  template <class T>
  KAGAMI_HD Vec<T, 1> df(T) const {
    return {T(1)};
  }
};

struct Neg {
  static constexpr const char* name = "neg";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return -x;
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T) {
    return {T(-1)};
  }
};

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return elementwise(Add{}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return elementwise(Sub{}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return elementwise(Mul{}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return elementwise(Div{}, a, b); }
Tensor scale(const Tensor& x, double factor) { return elementwise(Scale{factor}, x); }
Tensor add_scalar(const Tensor& x, double term) { return elementwise(AddScalar{term}, x); }
Tensor neg(const Tensor& x) { return elementwise(Neg{}, x); }

}  // namespace kagami
