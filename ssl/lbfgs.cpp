#include "ssl/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace kagami {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

double largest_entry(const Vector& v) {
  double largest = 0;
  for (const double x : v) largest = std::max(largest, std::abs(x));
  return largest;
}

void add_scaled(Vector& y, double factor, const Vector& x) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += factor * x[i];
}

/// The last steps s and gradient changes y, which stand for the inverse Hessian.
class InverseHessian {
 public:
  explicit InverseHessian(int memory) : memory_(static_cast<std::size_t>(memory)) {}
  void learn(Vector s, Vector y) {
    const double curvature = dot(s, y);
    if (!(curvature > 1e-12 * dot(y, y))) return;
    if (pairs_.size() == memory_) pairs_.pop_front();
    pairs_.push_back({std::move(s), std::move(y), 1 / curvature});
  }
  /// The two-loop recursion: minus the inverse Hessian times the gradient.
  Vector direction(const Vector& gradient) const {
    Vector q = gradient, alpha(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      alpha[i] = pairs_[i].rho * dot(pairs_[i].s, q);
      add_scaled(q, -alpha[i], pairs_[i].y);
    }
    double first = 1 / std::max(1.0, std::sqrt(dot(gradient, gradient)));
    if (!pairs_.empty()) first = 1 / (pairs_.back().rho * dot(pairs_.back().y, pairs_.back().y));
    for (double& x : q) x *= first;
    for (std::size_t i = 0; i < pairs_.size(); ++i)
      add_scaled(q, alpha[i] - pairs_[i].rho * dot(pairs_[i].y, q), pairs_[i].s);
    for (double& x : q) x = -x;
    return q;
  }
  void forget() { pairs_.clear(); }
  bool empty() const { return pairs_.empty(); }

 private:
  struct Pair {
    Vector s, y;
    double rho;
  };
  std::size_t memory_;
  std::deque<Pair> pairs_;
};

}  // namespace

LbfgsResult minimize(const Objective& objective, Vector& x, const LbfgsOptions& options) {
  InverseHessian inverse(options.memory);
  Vector gradient(x.size()), next_gradient(x.size());
  LbfgsResult result;
  result.value = objective(x, gradient);
  while (result.iterations < options.max_iterations && largest_entry(gradient) > options.tolerance) {
    Vector step = inverse.direction(gradient);
    const double slope = dot(step, gradient);
    Vector next;
    double value = 0, length = 1;
    bool lower = false;
    for (int halvings = 0; halvings < 30 && !lower; ++halvings, length /= 2) {
      next = x;
      add_scaled(next, length, step);
      value = objective(next, next_gradient);
      lower = value <= result.value + 1e-4 * length * slope;
    }
    if (!lower && inverse.empty()) break;
    if (!lower) {
      inverse.forget();  // a poor model of the curvature: once more along the gradient
      continue;
    }
    for (std::size_t i = 0; i < x.size(); ++i) step[i] = next[i] - x[i];
    Vector change = next_gradient;
    add_scaled(change, -1, gradient);
    inverse.learn(std::move(step), std::move(change));
    x = std::move(next);
    std::swap(gradient, next_gradient);
    result.value = value;
    ++result.iterations;
  }
  result.gradient_norm = largest_entry(gradient);
  return result;
}

}  // namespace kagami
