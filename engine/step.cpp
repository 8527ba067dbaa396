#include "engine/step.h"

#include <cmath>
#include <cstring>

#include "engine/error.h"

#if KAGAMI_HAS_CUDA
#include "kernels/cuda/runtime.h"
#endif

struct CUgraphExec_st;

namespace kagami {

StepState::StepState(Device device)
    : memory_(Tensor::zeros({static_cast<std::int64_t>(sizeof(StepScalars))}, DType::u8, device, MemoryUse::optimizer)),
      upload_(device, sizeof(StepScalars)) {
  set(host_);
}

void StepState::set(const StepScalars& scalars) {
  // A recorded step checks nothing: an EMA target would follow with NaN.
  check(std::isnan(host_.ema_tau) || !std::isnan(scalars.ema_tau), "StepState: ema_tau was ", host_.ema_tau,
        " and is missing now; set it in every step");
  host_ = scalars;
  std::memcpy(upload_.next(), &host_, sizeof host_);
  upload_.send(memory_.raw(), sizeof host_);
}

const StepScalars* StepState::data() const { return static_cast<const StepScalars*>(memory_.raw()); }

namespace {

/// The first run allocates, the second finds the tensors the first one left behind; the third is like the second.
constexpr int runs_before_recording = 2;

}  // namespace

struct CapturedStep::Program {
  Program(Arena& arena, std::function<void()> what) : body(std::move(what)), memory(arena) {}
  ~Program() {
#if KAGAMI_HAS_CUDA
    if (graph) cuda::destroy_graph(graph);
#endif
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  std::function<void()> body;
  ArenaRegion memory;
  CUgraphExec_st* graph = nullptr;
  int runs = 0, kernels = 0;
};

CapturedStep::CapturedStep(Device device, bool record) : device_(device), record_(record && !device.is_cpu()) {}
CapturedStep::~CapturedStep() = default;

void CapturedStep::add(int program, std::function<void()> body) {
  check(!programs_.contains(program), "step: program ", program, " added twice");
  programs_.emplace(program, std::make_unique<Program>(device_.memory(), std::move(body)));
}

CapturedStep::Program& CapturedStep::find(int program) const {
  const auto found = programs_.find(program);
  check(found != programs_.end(), "step: there is no program ", program);
  return *found->second;
}

int CapturedStep::kernels(int program) const { return find(program).kernels; }

void CapturedStep::rehearse(int program, const std::function<void()>& work) {
  if (!record_) return work();
  Program& rehearsed = find(program);
  check(!rehearsed.graph, "step: program ", program, " is recorded; its memory is its own");
  const ArenaRegion::Scope scope(rehearsed.memory, ArenaRegion::Growth::allowed);
  work();
}

void CapturedStep::run(int program) {
  Program& chosen = find(program);
  if (!record_) return chosen.body();
  if (!chosen.graph && chosen.runs < runs_before_recording) {
    const ArenaRegion::Scope scope(chosen.memory, ArenaRegion::Growth::allowed);
    chosen.body();
    ++chosen.runs;
    return;
  }
#if KAGAMI_HAS_CUDA
  if (!chosen.graph) record(program, chosen);
  cuda::replay(chosen.graph, device_.as_cuda().stream);
#endif
}

#if KAGAMI_HAS_CUDA

void CapturedStep::record(int number, Program& program) {
  CUstream_st* stream = device_.as_cuda().stream;
  const ArenaRegion::Scope scope(program.memory, ArenaRegion::Growth::refused);
  cuda::begin_capture(stream);
  try {
    program.body();
  } catch (const std::exception& error) {
    try {
      cuda::destroy_graph(cuda::end_capture(stream));
    } catch (const std::exception&) {  // the runtime refuses a capture that failed: there is nothing to destroy
    }
    throw std::runtime_error(text("step: program ", number, " cannot be recorded: ", error.what()));
  }
  program.graph = cuda::end_capture(stream, &program.kernels);
}

#endif

}  // namespace kagami
