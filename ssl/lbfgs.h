#pragma once
// Minimising a smooth convex function of many variables.
#include <functional>
#include <vector>

namespace kagami {

struct LbfgsOptions {
  int max_iterations = 500;
  double tolerance = 1e-5;  ///< stops when the gradient's largest entry is below
  int memory = 10;          ///< pairs of steps and gradient changes that are kept
};

struct LbfgsResult {
  int iterations = 0;
  double value = 0, gradient_norm = 0;  ///< the norm is the largest entry
};

/// Value at x; writes the gradient.
using Objective = std::function<double(const std::vector<double>& x, std::vector<double>& gradient)>;

/// Limited-memory BFGS (Nocedal 1980) from x, which becomes the minimiser; steps are halved until the value falls
/// enough (Armijo). Stops early where rounding lets no step lower the value.
LbfgsResult minimize(const Objective& objective, std::vector<double>& x, const LbfgsOptions& options = {});

}  // namespace kagami
