#include "engine/optimizer.h"

#include "engine/dispatch.h"

namespace kagami {
namespace {

struct Ranges {
  bool decay_vectors, per_parameter;
};

/// What the update covers: one range per parameter, or neighbours that are treated alike as one.
std::vector<UpdateRange> update_ranges(const Params& params, const Ranges& how) {
  std::vector<UpdateRange> ranges;
  bool adjacent = false;  // to the range before: an untrained parameter in between is never written
  for (const Segment& s : params.segments()) {
    const ParamGroup& group = params.groups()[static_cast<std::size_t>(s.group)];
    const bool matrix = s.shape.rank() >= 2;
    const UpdateRange range{s.offset, s.size(), s.group, group.weight_decay && (matrix || how.decay_vectors),
                            group.lars && matrix};
    const bool alike =
        adjacent && !how.per_parameter && ranges.back().group == range.group && ranges.back().decay == range.decay;
    adjacent = group.trained;
    if (!group.trained) continue;
    if (alike) {
      ranges.back().count = range.offset + range.count - ranges.back().offset;
    } else {
      ranges.push_back(range);
    }
  }
  return ranges;
}

/// Parameters below `end` that no update covers.
std::vector<UpdateRange> untrained_ranges(const Params& params, std::int64_t end) {
  std::vector<UpdateRange> ranges;
  for (const Segment& s : params.segments())
    if (s.offset < end && !params.groups()[static_cast<std::size_t>(s.group)].trained)
      ranges.push_back({s.offset, s.size(), s.group, false, false});
  return ranges;
}

bf16* copies_of(const Params& params) { return params.copies() ? params.copies().data<bf16>() : nullptr; }

/// The part of a target that follows a range of parameters.
template <class T>
EmaTarget<T> part_of(const EmaTarget<T>& target, const UpdateRange& range) {
  return {target.values + range.offset, range.count, target.copy ? target.copy + range.offset : nullptr};
}

struct UpdatePlan {
  std::vector<UpdateRange> ranges;
  const StepScalars* scalars = nullptr;
  bf16* copy = nullptr;  // of the parameters, or null
  int count() const { return static_cast<int>(ranges.size()); }
};

/// The flat buffers of an update.
template <class T>
struct Flat {
  T* p;
  const T* g;
  std::vector<T*> moments;
  EmaTarget<T> target;
};

template <class Device, class T>
void update(Device device, const UpdatePlan& plan, const SgdSettings& settings, const Flat<T>& flat) {
  sgd_update(device, plan.ranges.data(), plan.count(), plan.scalars, settings, flat.p, flat.g, flat.moments[0],
             plan.copy, flat.target);
}
template <class Device, class T>
void update(Device device, const UpdatePlan& plan, const LarsSettings& settings, const Flat<T>& flat) {
  lars_update(device, plan.ranges.data(), plan.count(), plan.scalars, settings, flat.p, flat.g, flat.moments[0],
              plan.copy, flat.target);
}
template <class Device, class T>
void update(Device device, const UpdatePlan& plan, const AdamWSettings& settings, const Flat<T>& flat) {
  adamw_update(device, plan.ranges.data(), plan.count(), plan.scalars, settings, flat.p, flat.g, flat.moments[0],
               flat.moments[1], plan.copy, flat.target);
}

void check_target(const Params& params, const Params& target) {
  const Tensor &p = params.values(), &t = target.values();
  check(target.allocated() && &target != &params && t.dtype() == p.dtype() && t.device() == p.device(),
        "optimizer: an EMA target has parameters of its own, of the type and on the device of those it follows (",
        describe(p), "); its own: ", describe(t));
}

template <class Settings>
class FlatOptimizer final : public Optimizer {
 public:
  FlatOptimizer(Params& params, const Settings& settings, const Ranges& how, const std::vector<std::string>& moments,
                const Params* target)
      : params_(params), settings_(settings), target_(target) {
    check(params.allocated(), "optimizer: call Params::allocate() first");
    plan_.ranges = update_ranges(params, how);
    check(plan_.count() > 0, "optimizer: no parameter is trained");
    check(static_cast<int>(params.groups().size()) <= max_parameter_groups, "optimizer: ", params.groups().size(),
          " parameter groups, at most ", max_parameter_groups);
    const Tensor& values = params.values();
    for (const std::string& name : moments)
      state_.push_back({name, Tensor::zeros(values.shape(), values.dtype(), values.device(), MemoryUse::optimizer)});
    if (!target) return;
    check_target(params, *target);
    followed_ = shared_prefix(*target, params);
    untrained_ = untrained_ranges(params, followed_);
  }

  void step(const StepState& state) override {
    const double tau = state.host().ema_tau;
    check(!target_ || (tau >= 0 && tau <= 1), "optimizer: an EMA target needs StepScalars::ema_tau in [0, 1], not ",
          tau);
    check(!params_.copies() || params_.copies().is_copy_of(params_.values()),
          "optimizer: parameters were written without Params::refresh(): their bf16 copies are older");
    plan_.scalars = state.data();
    plan_.copy = copies_of(params_);
    dispatch_full("optimizer", params_.values(), [&](auto device, auto zero) {
      using T = decltype(zero);
      Flat<T> flat{params_.values().data<T>(), params_.gradients().data<T>(), {}, {}};
      for (const NamedTensor& moment : state_) flat.moments.push_back(moment.tensor.data<T>());
      if (target_) flat.target = {target_->values().data<T>(), followed_, copies_of(*target_)};
      update(device, plan_, settings_, flat);
      for (const UpdateRange& range : untrained_)
        ema_update(device, plan_.scalars, static_cast<const T*>(flat.p) + range.offset, part_of(flat.target, range));
    });
    params_.mark_updated();
    if (target_) target_->mark_updated();
  }

  std::vector<NamedTensor> state() const override { return state_; }

 private:
  Params& params_;
  Settings settings_;
  UpdatePlan plan_;
  std::vector<NamedTensor> state_;
  const Params* target_;
  std::int64_t followed_ = 0;           // elements of the target
  std::vector<UpdateRange> untrained_;  // the target follows them too
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(Params& params, const SgdSettings& settings, bool decay_vectors,
                                    const Params* target) {
  return std::make_unique<FlatOptimizer<SgdSettings>>(params, settings, Ranges{decay_vectors, false},
                                                      std::vector<std::string>{"momentum"}, target);
}

std::unique_ptr<Optimizer> make_lars(Params& params, const LarsSettings& settings, const Params* target) {
  return std::make_unique<FlatOptimizer<LarsSettings>>(params, settings, Ranges{false, true},
                                                       std::vector<std::string>{"momentum"}, target);
}

std::unique_ptr<Optimizer> make_adamw(Params& params, const AdamWSettings& settings, bool decay_vectors,
                                      const Params* target) {
  return std::make_unique<FlatOptimizer<AdamWSettings>>(params, settings, Ranges{decay_vectors, false},
                                                        std::vector<std::string>{"mean", "variance"}, target);
}

void set_learning_rates(StepScalars& scalars, const Params& params, double lr, double factor) {
  for (std::size_t i = 0; i < params.groups().size(); ++i) {
    const ParamGroup& group = params.groups()[i];
    scalars.lr[i] = lr * (group.schedule == LrSchedule::main ? factor : 1) * group.lr_factor;
  }
}

}  // namespace kagami
