// Convolutions and batch norm as cuDNN's graph interface runs them.
#include "bench/vendor/cudnn_backend.h"

namespace kagami::bench {
namespace {

enum Id : std::int64_t { id_x = 1, id_w, id_y };

cudnnDataType_t type_of(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/// Names of one pass's descriptor and attributes.
struct ConvNames {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, w, y, description, alpha, beta;
};
ConvNames names_of(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case Pass::dgrad:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Pass::wgrad:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

std::shared_ptr<Graph> convolution_graph(const CudnnFunctions& f, const Conv2dShape& s, Pass pass,
                                         Arithmetic arithmetic) {
  auto graph = std::make_shared<Graph>(f);
  const cudnnDataType_t type = type_of(arithmetic);
  const Descriptor& x = graph->tensor(id_x, type, s.n, s.c, s.h, s.w);
  const Descriptor& w = graph->tensor(id_w, type, s.k, s.c, s.r, s.s);
  const Descriptor& y = graph->tensor(id_y, type, s.n, s.k, s.out_h(), s.out_w());
  Descriptor description = graph->make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const auto both = [](std::int64_t value) { return std::vector<std::int64_t>{value, value}; };
  description.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, both(s.pad))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, both(s.pad))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, both(s.stride))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, both(1))
      .finalize();
  const ConvNames names = names_of(pass);
  Descriptor operation = graph->make(names.operation);
  operation.set(names.x, x)
      .set(names.w, w)
      .set(names.y, y)
      .set(names.description, graph->keep(std::move(description)))
      .set(names.alpha, 1.0F)
      .set(names.beta, 0.0F);
  graph->add_operation(std::move(operation));
  return graph;
}

/// Identifiers of a batch norm's tensors; the channel's arrays follow each other from id_channel on.
enum NormId : std::int64_t { id_input = 1, id_output, id_residual, id_dy, id_dx, id_epsilon, id_momentum, id_channel };

void add_norm_forward(Graph& graph, const Conv2dShape& s, cudnnDataType_t type, bool add, bool relu) {
  const auto vector = [&](std::int64_t i) -> const Descriptor& {
    return graph.tensor(id_channel + i, CUDNN_DATA_FLOAT, 1, s.c, 1, 1);
  };
  constexpr std::int64_t id_normalised = 100, id_sum = 101;
  const auto image = [&](std::int64_t id, bool last) -> const Descriptor& {
    return graph.tensor(last ? id_output : id, last ? type : CUDNN_DATA_FLOAT, s.n, s.c, s.h, s.w, !last);
  };
  const Descriptor& x = graph.tensor(id_input, type, s.n, s.c, s.h, s.w);
  const Descriptor& normalised = image(id_normalised, !add && !relu);
  Descriptor norm = graph.make(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_BATCH_NORM)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_TRAINING)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, normalised)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, vector(0))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, vector(1))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, vector(2))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, vector(3))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC, vector(4))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC, vector(5))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, vector(6))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC, vector(7))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, graph.scalar(id_epsilon))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC, graph.scalar(id_momentum));
  graph.add_operation(std::move(norm));
  const Descriptor* last = &normalised;
  if (add) {
    const Descriptor& residual = graph.tensor(id_residual, type, s.n, s.c, s.h, s.w);
    const Descriptor& sum = image(id_sum, !relu);
    graph.add_pointwise(CUDNN_POINTWISE_ADD, *last, &residual, sum);
    last = &sum;
  }
  if (relu) graph.add_pointwise(CUDNN_POINTWISE_RELU_FWD, *last, nullptr, image(id_output, true));
}

void add_norm_backward(Graph& graph, const Conv2dShape& s, cudnnDataType_t type) {
  const auto image = [&](std::int64_t id) -> const Descriptor& { return graph.tensor(id, type, s.n, s.c, s.h, s.w); };
  const auto vector = [&](std::int64_t i) -> const Descriptor& {
    return graph.tensor(id_channel + i, CUDNN_DATA_FLOAT, 1, s.c, 1, 1);
  };
  Descriptor norm = graph.make(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_BATCH_NORM)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, image(id_input))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, image(id_dy))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, image(id_dx))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, vector(0))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, vector(1))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, vector(2))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, vector(6))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, vector(7));
  graph.add_operation(std::move(norm));
}

/// The architecture that a plan's kernel was written for: only sm_90 and later have clusters of blocks, and a plan that
/// uses them has settings for their extents. 0 when the plan does not describe itself.
int architecture_of(const Descriptor& plan) {
  const std::string json = plan.characters(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
  if (json.empty()) return 0;
  return json.find("KNOB_TYPE_TILE_CGA") == std::string::npos ? 80 : 90;
}

class Library : public Cudnn {
 public:
  Library(const cuda::DynamicLibrary& library, const Device& device)
      : f_(library), device_(device), workspace_(device, workspace_bytes) {
    f_.check(f_.create(&handle_), "cudnnCreate");
    f_.check(f_.set_stream(handle_, launcher(device).stream), "cudnnSetStream");
  }
  std::string version() const override { return "cuDNN " + std::to_string(f_.version()); }

  std::vector<Candidate> convolution(const Conv2dShape& shape, Pass pass, Arithmetic arithmetic,
                                     const ConvOperands& operands) override {
    const std::vector<std::int64_t> ids{id_x, id_w, id_y};
    const std::vector<void*> memory{operands.x, pass == Pass::wgrad ? operands.dw : operands.w, operands.y};
    return plans(convolution_graph(f_, shape, pass, arithmetic), arithmetic, ids, memory, 1000,
                 {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK});
  }

  std::vector<Candidate> batch_norm(const Conv2dShape& image, NormWork work, Arithmetic arithmetic,
                                    const NormOperands& operands) override {
    constexpr int compiled = 4;  // of dozens: each takes seconds to compile
    const auto graph = std::make_shared<Graph>(f_);
    std::vector<std::int64_t> ids{id_input};
    std::vector<void*> memory{operands.x};
    const auto bind = [&](std::int64_t id, void* where) { ids.push_back(id), memory.push_back(where); };
    const bool backward = work == NormWork::backward, add = work == NormWork::forward_add_relu;
    if (backward) {
      add_norm_backward(*graph, image, type_of(arithmetic));
      bind(id_dy, operands.dy), bind(id_dx, operands.dx);
    } else {
      add_norm_forward(*graph, image, type_of(arithmetic), add, work != NormWork::forward);
      bind(id_output, operands.y), bind(id_epsilon, &epsilon_), bind(id_momentum, &momentum_);
      if (add) bind(id_residual, operands.residual);
    }
    for (const std::int64_t i :
         backward ? std::vector<std::int64_t>{0, 1, 2, 6, 7} : std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7})
      bind(id_channel + i, operands.channel + i * image.c);
    return plans(graph, arithmetic, ids, memory, compiled, {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK});
  }

 private:
  /// The plans that fit the arithmetic and the workspace, at most `most` of them.
  std::vector<Candidate> plans(const std::shared_ptr<Graph>& graph, Arithmetic arithmetic,
                               const std::vector<std::int64_t>& ids, const std::vector<void*>& memory, int most,
                               const std::vector<cudnnBackendHeurMode_t>& modes) {
    std::vector<Candidate> found;
    for (const Descriptor& configuration : graph->configurations(handle_, modes)) {
      if (static_cast<int>(found.size()) == most) break;
      const Engine engine = engine_of(f_, configuration);
      if (arithmetic == Arithmetic::fp32 && (engine.tensor_cores || engine.reduced)) continue;
      Descriptor plan(f_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle_).set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      if (f_.finalize(plan.raw()) != CUDNN_STATUS_SUCCESS) continue;
      if (plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) > static_cast<std::int64_t>(workspace_bytes)) continue;
      const int architecture = architecture_of(plan);
      found.push_back({engine.name() + (architecture ? ", sm_" + std::to_string(architecture) : ""), architecture,
                       runner(graph, std::move(plan), ids, memory)});
    }
    return found;
  }

  Work runner(const std::shared_ptr<Graph>& graph, Descriptor&& plan, const std::vector<std::int64_t>& ids,
              const std::vector<void*>& memory) {
    Descriptor pack(f_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    void* workspace = workspace_.data();
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids)
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, memory)
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
        .finalize();
    const auto kept_plan = std::make_shared<Descriptor>(std::move(plan));
    const auto kept_pack = std::make_shared<Descriptor>(std::move(pack));
    return [this, graph, kept_plan, kept_pack] {
      f_.check(f_.execute(handle_, kept_plan->raw(), kept_pack->raw()), "cudnnBackendExecute");
    };
  }

  CudnnFunctions f_;
  Device device_;
  Memory<std::uint8_t> workspace_;
  cudnnHandle_t handle_ = nullptr;  // as long as the process
  float epsilon_ = 1e-5F, momentum_ = 0.1F;
};

}  // namespace

std::unique_ptr<Cudnn> Cudnn::load(const Device& device, std::string* why_none) {
  const cuda::DynamicLibrary library({"libcudnn.so." + std::to_string(CUDNN_MAJOR), "libcudnn.so",
                                      KAGAMI_CUDA_LIBRARIES "/libcudnn.so." + std::to_string(CUDNN_MAJOR)});
  if (!library.found()) {
    *why_none = library.why_none();
    return nullptr;
  }
  return std::make_unique<Library>(library, device);
}

}  // namespace kagami::bench
