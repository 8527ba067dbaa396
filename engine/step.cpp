#include "engine/step.h"

namespace kagami {

StepState::StepState(Device device)
    : memory_(
          Tensor::zeros({static_cast<std::int64_t>(sizeof(StepScalars))}, DType::u8, device, MemoryUse::optimizer)) {
  set(host_);
}

void StepState::set(const StepScalars& scalars) {
  host_ = scalars;
  memory_.device().copy_in(memory_.raw(), &host_, sizeof host_);
}

const StepScalars* StepState::data() const { return static_cast<const StepScalars*>(memory_.raw()); }

void CapturedStep::add(int program, std::function<void()> body) {
  check(!programs_.contains(program), "step: program ", program, " added twice");
  programs_.emplace(program, std::move(body));
}

void CapturedStep::run(int program) const {
  const auto found = programs_.find(program);
  check(found != programs_.end(), "step: there is no program ", program);
  found->second();
}

}  // namespace kagami
