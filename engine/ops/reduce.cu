#include "engine/reduce.h"

#include <limits>

#include "engine/ops.h"

namespace kagami {
namespace {

struct Mean {
  static constexpr const char* name = "mean";
  using State = Sum::State;
  KAGAMI_HD static void add(State& s, double x, std::int64_t index) { Sum::add(s, x, index); }
  KAGAMI_HD static void merge(State& s, const State& other) { Sum::merge(s, other); }
  KAGAMI_HD static double finish(const State& s, double count) { return s.sum / count; }
  KAGAMI_HD static double df(const State&, double, std::int64_t, double count) { return 1 / count; }
};

/// The first of the largest (sign +1) or smallest (sign -1) values; NaN beats every number.
template <int sign>
struct Extreme {
  static constexpr const char* name = sign > 0 ? "max" : "min";
  struct State {
    double value = -sign * std::numeric_limits<double>::infinity();
    std::int64_t index = std::numeric_limits<std::int64_t>::max();
  };
  KAGAMI_HD static void add(State& s, double x, std::int64_t index) { merge(s, {x, index}); }
  KAGAMI_HD static void merge(State& s, const State& other) {
    const bool nan = s.value != s.value, other_nan = other.value != other.value;
    const bool equal = other.value == s.value || (nan && other_nan);
    const bool better = sign * other.value > sign * s.value || (other_nan && !nan);
    if (better || (equal && other.index < s.index)) s = other;
  }
  KAGAMI_HD static double finish(const State& s, double) { return s.value; }
  KAGAMI_HD static double df(const State& s, double, std::int64_t index, double) { return index == s.index; }
};

/// Count, mean and sum of squared deviations (Welford 1962; merged as Chan, Golub and LeVeque 1979).
struct Var {
  static constexpr const char* name = "var";
  double correction;  // 1 for the unbiased estimate
  struct State {
    double count = 0, mean = 0, squares = 0;
  };
  KAGAMI_HD static void add(State& s, double x, std::int64_t) {
    const double apart = x - s.mean;
    s.count += 1;
    s.mean += apart / s.count;
    s.squares += apart * (x - s.mean);
  }
  KAGAMI_HD static void merge(State& s, const State& other) {
    if (other.count == 0) return;
    const double count = s.count + other.count, apart = other.mean - s.mean;
    s.mean += apart * (other.count / count);
    s.squares += other.squares + apart * apart * (s.count * other.count / count);
    s.count = count;
  }
  KAGAMI_HD double finish(const State& s, double count) const { return s.squares / (count - correction); }
  KAGAMI_HD double df(const State& s, double x, std::int64_t, double count) const {
    return 2 * (x - s.mean) / (count - correction);
  }
};

/// The number of values that each result is made of; throws when it is below `least`.
void need_values(const char* op, const Tensor& x, std::int64_t count, std::int64_t least) {
  check(count >= least, op, ": needs at least ", least, " value", least == 1 ? "" : "s", " to reduce, x (", describe(x),
        ") has ", count);
}

std::int64_t least_of(Variance kind) { return kind == Variance::unbiased ? 2 : 1; }

template <class Op>
Tensor reduce_some(const Op& op, std::int64_t least, const Tensor& x, int axis, bool keep_dims) {
  if (x) need_values(Op::name, x, x.shape(axis), least);
  return reduce(op, x, axis, keep_dims);
}

template <class Op>
Tensor reduce_some(const Op& op, std::int64_t least, const Tensor& x) {
  if (x) need_values(Op::name, x, x.numel(), least);
  return reduce(op, x);
}

}  // namespace

Tensor sum(const Tensor& x) { return reduce(Sum{}, x); }
Tensor mean(const Tensor& x) { return reduce_some(Mean{}, 1, x); }
Tensor max(const Tensor& x) { return reduce_some(Extreme<1>{}, 1, x); }
Tensor min(const Tensor& x) { return reduce_some(Extreme<-1>{}, 1, x); }
Tensor var(const Tensor& x, Variance kind) {
  return reduce_some(Var{kind == Variance::unbiased ? 1.0 : 0.0}, least_of(kind), x);
}

Tensor sum(const Tensor& x, int axis, bool keep_dims) { return reduce(Sum{}, x, axis, keep_dims); }
Tensor mean(const Tensor& x, int axis, bool keep_dims) { return reduce_some(Mean{}, 1, x, axis, keep_dims); }
Tensor max(const Tensor& x, int axis, bool keep_dims) { return reduce_some(Extreme<1>{}, 1, x, axis, keep_dims); }
Tensor min(const Tensor& x, int axis, bool keep_dims) { return reduce_some(Extreme<-1>{}, 1, x, axis, keep_dims); }
Tensor var(const Tensor& x, int axis, Variance kind, bool keep_dims) {
  return reduce_some(Var{kind == Variance::unbiased ? 1.0 : 0.0}, least_of(kind), x, axis, keep_dims);
}

}  // namespace kagami
