// kernels/cuda/runtime.h by CUDA's runtime. Only in builds with CUDA.
#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cuda/usable_devices.h"

namespace kagami::cuda {
namespace {

DeviceProperties converted(const cudaDeviceProp& p) {
  return {p.name, p.major, p.minor, p.multiProcessorCount, p.totalGlobalMem, p.sharedMemPerBlockOptin, false};
}

bool pageable(const void* memory) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
  return attributes.type == cudaMemoryTypeUnregistered;
}

/// Null where there is no more memory.
void* unless_out_of_memory(cudaError_t status, void* memory, const char* what) {
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(status, what);
  return memory;
}

/// Frees without throwing; at the end of the program the runtime may be gone already.
void ignore(cudaError_t) { cudaGetLastError(); }

int kernels_of(cudaGraph_t graph) {
  std::size_t count = 0;
  check(cudaGraphGetNodes(graph, nullptr, &count), "cudaGraphGetNodes");
  std::vector<cudaGraphNode_t> nodes(count);
  if (count > 0) check(cudaGraphGetNodes(graph, nodes.data(), &count), "cudaGraphGetNodes");
  int kernels = 0;
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    check(cudaGraphNodeGetType(node, &type), "cudaGraphNodeGetType");
    kernels += type == cudaGraphNodeTypeKernel;
  }
  return kernels;
}

}  // namespace

int device_count(std::string* why_none) {
  static_assert(insufficient_driver == cudaErrorInsufficientDriver && no_device == cudaErrorNoDevice);
  DriverReport report;
  if (cudaDriverGetVersion(&report.driver) != cudaSuccess) report.driver = 0;
  if (cudaRuntimeGetVersion(&report.runtime) != cudaSuccess) report.runtime = 0;
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  for (int device = 0; status == cudaSuccess && device < count; ++device) {
    cudaDeviceProp found{};
    status = cudaGetDeviceProperties(&found, device);
    if (status == cudaSuccess) report.devices.push_back(converted(found));
  }
  report.status = status;
  report.status_text = cudaGetErrorString(status);
  cudaGetLastError();
  return usable_devices(report, KAGAMI_CUDA_ARCHITECTURES, why_none);
}

DeviceProperties properties(int device) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device), "cudaGetDeviceProperties");
  return converted(p);
}

void check(int status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(static_cast<cudaError_t>(status)));
}

void make_current(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

void* allocate(int device, std::size_t bytes) {
  make_current(device);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  return unless_out_of_memory(status, memory, "cudaMalloc");
}
void release(int, void* memory) { ignore(cudaFree(memory)); }
void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  return unless_out_of_memory(status, memory, "cudaMallocHost");
}
void release_pinned(void* memory) { ignore(cudaFreeHost(memory)); }

CUstream_st* create_stream(int device) {
  make_current(device);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}
void destroy_stream(CUstream_st* stream) { ignore(cudaStreamDestroy(stream)); }
void synchronize(CUstream_st* stream) { check(cudaStreamSynchronize(stream), "cudaStreamSynchronize"); }

void copy(void* to, const void* from, std::size_t bytes, CUstream_st* stream) {
  if (bytes == 0) return;
  const bool waits = pageable(to) || pageable(from);
  if (waits && capturing(stream))
    throw std::runtime_error("copy: memory that is neither the device's nor pinned cannot be part of a captured graph");
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync");
  if (waits) synchronize(stream);
}
void fill_bytes(void* to, int value, std::size_t bytes, CUstream_st* stream) {
  if (bytes > 0) check(cudaMemsetAsync(to, value, bytes, stream), "cudaMemsetAsync");
}

CUevent_st* create_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return event;
}
void destroy_event(CUevent_st* event) { ignore(cudaEventDestroy(event)); }
void record(CUevent_st* event, CUstream_st* stream) { check(cudaEventRecord(event, stream), "cudaEventRecord"); }
void wait(CUstream_st* stream, CUevent_st* event) {
  check(cudaStreamWaitEvent(stream, event, 0), "cudaStreamWaitEvent");
}
void synchronize(CUevent_st* event) { check(cudaEventSynchronize(event), "cudaEventSynchronize"); }
void settle(CUevent_st* event) noexcept { ignore(cudaEventSynchronize(event)); }
float elapsed(CUevent_st* first, CUevent_st* last) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, first, last), "cudaEventElapsedTime");
  return milliseconds;
}

void begin_capture(CUstream_st* stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}
CUgraphExec_st* end_capture(CUstream_st* stream, int* kernels) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  if (kernels) *kernels = kernels_of(graph);
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  return executable;
}
bool capturing(CUstream_st* stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}
void replay(CUgraphExec_st* graph, CUstream_st* stream) { check(cudaGraphLaunch(graph, stream), "cudaGraphLaunch"); }
void destroy_graph(CUgraphExec_st* graph) { ignore(cudaGraphExecDestroy(graph)); }

}  // namespace kagami::cuda
