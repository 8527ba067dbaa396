#pragma once
// cuDNN's graph interface, resolved at run time: descriptors that set their attributes and clean up after themselves.
#include <cudnn_backend.h>

#include <memory>
#include <utility>

#include "bench/vendor/library.h"
#include "kernels/cuda/dynamic_library.h"

namespace kagami::bench {

struct CudnnFunctions {
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&cudnnBackendSetAttribute) set_attribute;
  decltype(&cudnnBackendGetAttribute) get_attribute;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendExecute) execute;

  explicit CudnnFunctions(const cuda::DynamicLibrary& library);
  void check(cudnnStatus_t status, const char* what) const;
};

/// The value's type, as the interface wants it named.
template <class T>
constexpr cudnnBackendAttributeType_t attribute_type() {
  if constexpr (std::is_same_v<T, std::int64_t>)
    return CUDNN_TYPE_INT64;
  else if constexpr (std::is_same_v<T, float>)
    return CUDNN_TYPE_FLOAT;
  else if constexpr (std::is_same_v<T, bool>)
    return CUDNN_TYPE_BOOLEAN;
  else if constexpr (std::is_same_v<T, cudnnDataType_t>)
    return CUDNN_TYPE_DATA_TYPE;
  else if constexpr (std::is_same_v<T, cudnnConvolutionMode_t>)
    return CUDNN_TYPE_CONVOLUTION_MODE;
  else if constexpr (std::is_same_v<T, cudnnPointwiseMode_t>)
    return CUDNN_TYPE_POINTWISE_MODE;
  else if constexpr (std::is_same_v<T, cudnnBackendNormMode_t>)
    return CUDNN_TYPE_NORM_MODE;
  else if constexpr (std::is_same_v<T, cudnnBackendNormFwdPhase_t>)
    return CUDNN_TYPE_NORM_FWD_PHASE;
  else if constexpr (std::is_same_v<T, cudnnBackendHeurMode_t>)
    return CUDNN_TYPE_HEUR_MODE;
  else if constexpr (std::is_same_v<T, cudnnHandle_t>)
    return CUDNN_TYPE_HANDLE;
  else {
    static_assert(std::is_same_v<T, void*>);
    return CUDNN_TYPE_VOID_PTR;
  }
}

class Descriptor {
 public:
  Descriptor(const CudnnFunctions& f, cudnnBackendDescriptorType_t type) : f_(&f) {
    f.check(f.create_descriptor(type, &raw_), "cudnnBackendCreateDescriptor");
  }
  Descriptor(Descriptor&& other) noexcept : f_(other.f_), raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (raw_) f_->destroy_descriptor(raw_);
  }

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T& value) {
    return set_as(attribute_type<T>(), name, &value, 1);
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<T>& values) {
    return set_as(attribute_type<T>(), name, values.data(), values.size());
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    return set_as(CUDNN_TYPE_BACKEND_DESCRIPTOR, name, &other.raw_, 1);
  }
  Descriptor& set_descriptors(cudnnBackendAttributeName_t name, const std::vector<cudnnBackendDescriptor_t>& others) {
    return set_as(CUDNN_TYPE_BACKEND_DESCRIPTOR, name, others.data(), others.size());
  }
  Descriptor& finalize() {
    f_->check(f_->finalize(raw_), "cudnnBackendFinalize");
    return *this;
  }
  cudnnBackendDescriptor_t raw() const { return raw_; }

  /// 0 where there is none.
  std::int64_t integer(cudnnBackendAttributeName_t name) const {
    std::int64_t value = 0;
    get_as(CUDNN_TYPE_INT64, name, &value, 1);
    return value;
  }
  /// Fills descriptors that exist; how many there are (with null: would be).
  std::int64_t get_descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t* to,
                               std::int64_t capacity) const {
    return get_as(CUDNN_TYPE_BACKEND_DESCRIPTOR, name, to, capacity);
  }
  std::string characters(cudnnBackendAttributeName_t name) const;

 private:
  Descriptor& set_as(cudnnBackendAttributeType_t type, cudnnBackendAttributeName_t name, const void* values,
                     std::size_t count);
  std::int64_t get_as(cudnnBackendAttributeType_t type, cudnnBackendAttributeName_t name, void* values,
                      std::int64_t capacity) const;

  const CudnnFunctions* f_;
  cudnnBackendDescriptor_t raw_ = nullptr;
};

/// Operations over tensors: what a plan is made for.
class Graph {
 public:
  explicit Graph(const CudnnFunctions& f) : f_(f) {}
  /// NHWC; `virtual_` ones exist only between the graph's operations.
  const Descriptor& tensor(std::int64_t id, cudnnDataType_t type, std::int64_t n, std::int64_t c, std::int64_t h,
                           std::int64_t w, bool virtual_ = false);
  /// A float that is given by value when the plan runs.
  const Descriptor& scalar(std::int64_t id);
  /// Kept as long as the graph.
  const Descriptor& keep(Descriptor&& descriptor);
  Descriptor make(cudnnBackendDescriptorType_t type) const { return Descriptor(f_, type); }
  void add_operation(Descriptor&& operation);
  /// a and b (null: only a) into y.
  void add_pointwise(cudnnPointwiseMode_t mode, const Descriptor& a, const Descriptor* b, const Descriptor& y);

  /// Engine configurations, in the order of these heuristics.
  std::vector<Descriptor> configurations(cudnnHandle_t handle, const std::vector<cudnnBackendHeurMode_t>& modes);

 private:
  const CudnnFunctions& f_;
  std::vector<std::unique_ptr<Descriptor>> kept_;
  std::vector<cudnnBackendDescriptor_t> operations_;
};

/// What is known of an engine: its number, what kind of arithmetic it does.
struct Engine {
  std::int64_t number = -1;
  bool tensor_cores = false, reduced = false, nondeterministic = false;
  std::string name() const;
};
Engine engine_of(const CudnnFunctions& f, const Descriptor& configuration);

}  // namespace kagami::bench
