#pragma once
// Optimizers over Params: one fused update of the flat buffers. What is particular to a parameter is its group's. An
// EMA target (BYOL's, MoCo's) is the optimizer's business: it is written while the new parameter is in a register.
#include <memory>
#include <vector>

#include "engine/params.h"
#include "engine/step.h"
#include "kernels/optimizer.h"

namespace kagami {

/// Learning rates and momentum are StepScalars, so they are not here.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Updates every trained parameter from its gradient, then the whole EMA target.
  virtual void step(const StepState& state) = 0;
  /// The flat tensors that are its state; they share memory, so a checkpoint reads and writes them in place.
  virtual std::vector<NamedTensor> state() const = 0;
};

/// `target`, unless null, mirrors a prefix of `params` and follows it in every step, trained or not:
/// target = tau target + (1 - tau) params, tau being StepScalars::ema_tau. Parameters only: buffers are the target's
/// own. It must outlive the optimizer; copy_prefix() starts it.

/// PyTorch's SGD. `decay_vectors`: whether weight decay acts on parameters of rank below 2 (biases, batch norms).
std::unique_ptr<Optimizer> make_sgd(Params& params, const SgdSettings& settings, bool decay_vectors = true,
                                    const Params* target = nullptr);
/// Parameters of rank below 2 are neither decayed nor scaled.
std::unique_ptr<Optimizer> make_lars(Params& params, const LarsSettings& settings, const Params* target = nullptr);
/// PyTorch's AdamW; beta 1 is StepScalars::momentum.
std::unique_ptr<Optimizer> make_adamw(Params& params, const AdamWSettings& settings, bool decay_vectors = true,
                                      const Params* target = nullptr);

/// Learning rates of a step: `lr` times the schedule's factor (or 1 for groups of constant schedule) times the group's.
void set_learning_rates(StepScalars& scalars, const Params& params, double lr, double factor);

}  // namespace kagami
