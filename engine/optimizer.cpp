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

bf16* copies_of(const Params& params) { return params.copies() ? params.copies().data<bf16>() : nullptr; }

struct UpdatePlan {
  std::vector<UpdateRange> ranges;
  const StepScalars* scalars = nullptr;
  bf16* copy = nullptr;  // of the parameters, or null
  int count() const { return static_cast<int>(ranges.size()); }
};

template <class Device, class T>
void update(Device device, const UpdatePlan& plan, const SgdSettings& settings, T* p, const T* g,
            const std::vector<NamedTensor>& state) {
  sgd_update(device, plan.ranges.data(), plan.count(), plan.scalars, settings, p, g, state[0].tensor.data<T>(),
             plan.copy);
}
template <class Device, class T>
void update(Device device, const UpdatePlan& plan, const LarsSettings& settings, T* p, const T* g,
            const std::vector<NamedTensor>& state) {
  lars_update(device, plan.ranges.data(), plan.count(), plan.scalars, settings, p, g, state[0].tensor.data<T>(),
              plan.copy);
}
template <class Device, class T>
void update(Device device, const UpdatePlan& plan, const AdamWSettings& settings, T* p, const T* g,
            const std::vector<NamedTensor>& state) {
  adamw_update(device, plan.ranges.data(), plan.count(), plan.scalars, settings, p, g, state[0].tensor.data<T>(),
               state[1].tensor.data<T>(), plan.copy);
}

template <class Settings>
class FlatOptimizer final : public Optimizer {
 public:
  FlatOptimizer(Params& params, const Settings& settings, const Ranges& how, const std::vector<std::string>& moments)
      : params_(params), settings_(settings) {
    check(params.allocated(), "optimizer: call Params::allocate() first");
    plan_.ranges = update_ranges(params, how);
    check(plan_.count() > 0, "optimizer: no parameter is trained");
    check(static_cast<int>(params.groups().size()) <= max_parameter_groups, "optimizer: ", params.groups().size(),
          " parameter groups, at most ", max_parameter_groups);
    const Tensor& values = params.values();
    for (const std::string& name : moments)
      state_.push_back({name, Tensor::zeros(values.shape(), values.dtype(), values.device(), MemoryUse::optimizer)});
  }

  void step(const StepState& state) override {
    plan_.scalars = state.data();
    plan_.copy = copies_of(params_);
    dispatch_full("optimizer", params_.values(), [&](auto device, auto zero) {
      using T = decltype(zero);
      update(device, plan_, settings_, params_.values().data<T>(), params_.gradients().data<T>(), state_);
    });
    params_.mark_updated();
  }

  std::vector<NamedTensor> state() const override { return state_; }

 private:
  Params& params_;
  Settings settings_;
  UpdatePlan plan_;
  std::vector<NamedTensor> state_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(Params& params, const SgdSettings& settings, bool decay_vectors) {
  return std::make_unique<FlatOptimizer<SgdSettings>>(params, settings, Ranges{decay_vectors, false},
                                                      std::vector<std::string>{"momentum"});
}

std::unique_ptr<Optimizer> make_lars(Params& params, const LarsSettings& settings) {
  return std::make_unique<FlatOptimizer<LarsSettings>>(params, settings, Ranges{false, true},
                                                       std::vector<std::string>{"momentum"});
}

std::unique_ptr<Optimizer> make_adamw(Params& params, const AdamWSettings& settings, bool decay_vectors) {
  return std::make_unique<FlatOptimizer<AdamWSettings>>(params, settings, Ranges{decay_vectors, false},
                                                        std::vector<std::string>{"mean", "variance"});
}

void set_learning_rates(StepScalars& scalars, const Params& params, double lr, double factor) {
  for (std::size_t i = 0; i < params.groups().size(); ++i) {
    const ParamGroup& group = params.groups()[i];
    scalars.lr[i] = lr * (group.schedule == LrSchedule::main ? factor : 1) * group.lr_factor;
  }
}

void update_ema(const Params& target, const Params& source, const StepState& state) {
  const std::int64_t count = shared_prefix(target, source);
  dispatch_full("update_ema", target.values(), [&](auto device, auto zero) {
    using T = decltype(zero);
    ema_update(device, count, state.data(), target.values().data<T>(), source.values().data<T>(), copies_of(target));
  });
  target.mark_updated();
}

}  // namespace kagami
