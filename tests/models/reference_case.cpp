#include "tests/models/reference_case.h"

#include <cmath>

#include "engine/safetensors.h"
#include "tests/op_case.h"
#include "tests/reference/fill.h"

namespace kagami::test {
namespace {

std::string path_of(const std::string& name) {
  return std::string(KAGAMI_SOURCE_DIR) + "/tests/reference/" + name + ".safetensors";
}

std::vector<double> whole(const SafetensorsFile& file, const std::string& name) {
  const auto values = file.values<double>(name);
  return {values.begin(), values.end()};
}

/// What lies in memory as torchvision lays it out: [k,r,s,c] as [k,c,r,s], everything else as it is.
std::vector<double> on_disk(const Tensor& t) {
  const std::vector<double> from = t.to_host<double>();
  if (t.rank() != 4) return from;
  std::vector<double> to(from.size());
  const auto k = t.shape(0), taps = t.shape(1) * t.shape(2), c = t.shape(3);
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t tap = 0; tap < taps; ++tap)
      for (std::int64_t j = 0; j < c; ++j)
        to[static_cast<std::size_t>((i * c + j) * taps + tap)] =
            from[static_cast<std::size_t>((i * taps + tap) * c + j)];
  return to;
}

void fill_parameters(Params& params) {
  std::vector<NamedTensor> state = params.state_dict();
  for (NamedTensor& entry : state) {
    const auto dims = entry.tensor.shape().dims();
    const std::vector<double> values = reference::parameter(entry.name, {dims.begin(), dims.end()});
    entry.tensor = Tensor::from(values, entry.tensor.shape(), Device::cpu());
  }
  params.load_state_dict(state).require_complete("the reference");
}

double norm_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum);
}

double distance(const std::vector<double>& got, const std::vector<double>& want) {
  if (got.size() != want.size()) return INFINITY;
  std::vector<double> difference(got.size());
  for (std::size_t i = 0; i < got.size(); ++i) difference[i] = got[i] - want[i];
  return norm_of(difference);
}

double relative(const std::vector<double>& got, const std::vector<double>& want) {
  return distance(got, want) / norm_of(want);
}

/// Compares tensors with their summaries in the file, one after the other and all together.
class Summaries {
 public:
  Summaries(const SafetensorsFile& file, std::string kind) : file_(&file), kind_(std::move(kind)) {
    for (const StoredTensor& t : file.tensors())
      if (t.name.starts_with("probes." + kind_ + '.')) largest_ = std::max(largest_, file.values<double>(t.name)[0]);
  }
  void compare(const std::string& name, const Tensor& tensor, ReferenceErrors& errors) {
    const std::vector<double> got = on_disk(tensor);
    const std::vector<double> want = whole(*file_, "probes." + kind_ + '.' + name);
    const std::vector<double> summary = reference::summary(got.data(), static_cast<std::int64_t>(got.size()));
    const double difference = reference::error_by_probes(summary, want);
    difference_ += difference * difference;
    size_ += want[0] * want[0];
    // Some gradients are zero but for rounding (a bias before a batch norm): they count against the others' size.
    const double size = std::max(want[0], 1e-6 * largest_);
    double error = std::max(difference, std::abs(summary[0] - want[0])) / size;
    const std::string stored = kind_ + '.' + name;
    if (file_->contains(stored)) error = std::max(error, distance(got, whole(*file_, stored)) / size);
    if (!(error <= errors.worst)) {
      errors.worst = error;
      errors.worst_name = stored;
    }
  }
  double together() const { return std::sqrt(difference_ / size_); }

 private:
  const SafetensorsFile* file_;
  std::string kind_;
  double difference_ = 0, size_ = 0, largest_ = 0;
};

Tensor filled(const std::string& name, const Shape& shape, double scale, DType dtype) {
  return Tensor::from(reference::values(name, shape.numel(), scale), shape, Device::cpu()).to(dtype);
}

}  // namespace

ReferenceErrors reference_errors(const std::string& name, const MakeNetwork& make, DType dtype) {
  const SafetensorsFile file(path_of(name));
  Params params;
  const Network network = make(Scope(params));
  params.allocate(Device::cpu(), dtype, 1);
  fill_parameters(params);
  const auto salt = file.values<std::int64_t>("salt")[0];
  const Tensor x = filled(text("x.", salt), Shape(file.values<std::int64_t>("x.shape")), 2, dtype);
  BatchNormOptions norm;
  const Tensor h = network(x, norm), upstream = filled("upstream", h.shape(), 1, dtype);
  const Tensor loss = sum(mul(h, upstream));
  ReferenceErrors errors;
  errors.loss = relative({loss.item()}, whole(file, "loss"));
  errors.h = relative(h.to_host<double>(), whole(file, "h"));
  backward(loss);
  Summaries gradients(file, "gradient"), running(file, "running");
  for (const Segment& s : params.segments()) gradients.compare(s.name, params.find(s.name).grad(), errors);
  for (const Segment& s : params.buffer_segments()) running.compare(s.name, params.find(s.name), errors);
  errors.gradient = gradients.together();
  if (!params.buffer_segments().empty()) errors.running = running.together();
  const NoGrad no_grad;
  norm.training = false;
  errors.eval_h = relative(network(x, norm).to_host<double>(), whole(file, "eval.h"));
  return errors;
}

double torch_f32_error(const std::string& name, const std::string& what) {
  const SafetensorsFile file(path_of(name));
  const std::string key = "torch_f32_error." + what;
  return file.contains(key) ? file.values<double>(key)[0] : 0;
}

}  // namespace kagami::test
