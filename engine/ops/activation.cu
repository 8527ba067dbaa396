#include "engine/elementwise.h"
#include "engine/ops.h"

namespace kagami {
namespace {

struct Relu {
  static constexpr const char* name = "relu";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return x < T(0) ? T(0) : x;  // NaN stays NaN
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    return {T(x > T(0))};
  }
};

/// Through e^-|x|, which never overflows.
struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  template <class T>
  KAGAMI_HD static T f(T x) {
    const T e = std::exp(-std::abs(x));
    return (x < T(0) ? e : T(1)) / (T(1) + e);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    const T e = std::exp(-std::abs(x));
    return {e / ((T(1) + e) * (T(1) + e))};
  }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  template <class T>
  KAGAMI_HD static T f(T x) {
    return std::tanh(x);
  }
  template <class T>
  KAGAMI_HD static Vec<T, 1> df(T x) {
    const T y = std::tanh(x);
    return {(T(1) - y) * (T(1) + y)};
  }
};

}  // namespace

Tensor relu(const Tensor& x) { return elementwise(Relu{}, x); }
Tensor sigmoid(const Tensor& x) { return elementwise(Sigmoid{}, x); }
Tensor tanh(const Tensor& x) { return elementwise(Tanh{}, x); }

}  // namespace kagami
