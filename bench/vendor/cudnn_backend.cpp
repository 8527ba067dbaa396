#include "bench/vendor/cudnn_backend.h"

namespace kagami::bench {

CudnnFunctions::CudnnFunctions(const cuda::DynamicLibrary& library) {
  library.get(create, "cudnnCreate");
  library.get(set_stream, "cudnnSetStream");
  library.get(version, "cudnnGetVersion");
  library.get(error_string, "cudnnGetErrorString");
  library.get(create_descriptor, "cudnnBackendCreateDescriptor");
  library.get(destroy_descriptor, "cudnnBackendDestroyDescriptor");
  library.get(set_attribute, "cudnnBackendSetAttribute");
  library.get(get_attribute, "cudnnBackendGetAttribute");
  library.get(finalize, "cudnnBackendFinalize");
  library.get(execute, "cudnnBackendExecute");
}

void CudnnFunctions::check(cudnnStatus_t status, const char* what) const {
  if (status != CUDNN_STATUS_SUCCESS) throw std::runtime_error(std::string(what) + ": " + error_string(status));
}

Descriptor& Descriptor::set_as(cudnnBackendAttributeType_t type, cudnnBackendAttributeName_t name, const void* values,
                               std::size_t count) {
  const cudnnStatus_t status = f_->set_attribute(raw_, name, type, static_cast<std::int64_t>(count), values);
  f_->check(status, ("cudnnBackendSetAttribute " + std::to_string(name)).c_str());
  return *this;
}

std::int64_t Descriptor::get_as(cudnnBackendAttributeType_t type, cudnnBackendAttributeName_t name, void* values,
                                std::int64_t capacity) const {
  std::int64_t count = 0;
  return f_->get_attribute(raw_, name, type, capacity, &count, values) == CUDNN_STATUS_SUCCESS ? count : 0;
}

std::string Descriptor::characters(cudnnBackendAttributeName_t name) const {
  std::int64_t length = 0;
  if (f_->get_attribute(raw_, name, CUDNN_TYPE_CHAR, 0, &length, nullptr) != CUDNN_STATUS_SUCCESS) return {};
  std::string text(static_cast<std::size_t>(length), '\0');
  if (f_->get_attribute(raw_, name, CUDNN_TYPE_CHAR, length, &length, text.data()) != CUDNN_STATUS_SUCCESS) return {};
  return text;
}

const Descriptor& Graph::keep(Descriptor&& descriptor) {
  kept_.push_back(std::make_unique<Descriptor>(std::move(descriptor)));
  return *kept_.back();
}

const Descriptor& Graph::tensor(std::int64_t id, cudnnDataType_t type, std::int64_t n, std::int64_t c, std::int64_t h,
                                std::int64_t w, bool virtual_) {
  Descriptor t = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<std::int64_t>{n, c, h, w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::vector<std::int64_t>{h * w * c, 1, w * c, c})
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16});
  if (virtual_) t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  t.finalize();
  return keep(std::move(t));
}

const Descriptor& Graph::scalar(std::int64_t id) {
  Descriptor t = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<std::int64_t>{1, 1, 1, 1})
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::vector<std::int64_t>{1, 1, 1, 1})
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{4})
      .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true)
      .finalize();
  return keep(std::move(t));
}

void Graph::add_operation(Descriptor&& operation) {
  operation.finalize();
  operations_.push_back(keep(std::move(operation)).raw());
}

void Graph::add_pointwise(cudnnPointwiseMode_t mode, const Descriptor& a, const Descriptor* b, const Descriptor& y) {
  Descriptor what = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  what.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT).finalize();
  Descriptor operation = make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(what)))
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (b) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  add_operation(std::move(operation));
}

std::vector<Descriptor> Graph::configurations(cudnnHandle_t handle, const std::vector<cudnnBackendHeurMode_t>& modes) {
  Descriptor graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set_descriptors(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations_)
      .set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle)
      .finalize();
  const Descriptor& kept = keep(std::move(graph));
  std::vector<Descriptor> found;
  for (const cudnnBackendHeurMode_t mode : modes) {
    Descriptor heuristic = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, kept).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    if (f_.finalize(heuristic.raw()) != CUDNN_STATUS_SUCCESS) continue;
    const std::int64_t count = heuristic.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, nullptr, 0);
    std::vector<Descriptor> made;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (std::int64_t i = 0; i < count; ++i) {
      made.push_back(make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
      raw.push_back(made.back().raw());
    }
    const std::int64_t filled = heuristic.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, raw.data(), count);
    for (std::int64_t i = 0; i < filled; ++i) found.push_back(std::move(made[static_cast<std::size_t>(i)]));
  }
  return found;
}

std::string Engine::name() const {
  return "engine " + std::to_string(number) + (tensor_cores ? ", tensor cores" : "") +
         (nondeterministic ? ", not deterministic" : "");
}

Engine engine_of(const CudnnFunctions& f, const Descriptor& configuration) {
  Engine engine;
  const Descriptor described(f, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = described.raw();
  if (configuration.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, &raw, 1) == 0) return engine;
  engine.number = described.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  std::int64_t count = 0;
  if (f.get_attribute(raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                      &count, notes) != CUDNN_STATUS_SUCCESS)
    return engine;
  for (std::int64_t i = 0; i < count; ++i) {
    engine.tensor_cores |= notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    engine.reduced |= notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
                      notes[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
    engine.nondeterministic |= notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
  }
  return engine;
}

}  // namespace kagami::bench
