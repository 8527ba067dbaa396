#include "engine/params.h"

#include <algorithm>
#include <map>

#include "engine/dispatch.h"
#include "engine/in_place.h"

namespace kagami {
namespace {

constexpr std::int64_t alignment = 16;  // elements: every segment starts on a cache line

std::int64_t next_offset(const std::vector<Segment>& segments) {
  if (segments.empty()) return 0;
  const std::int64_t end = segments.back().offset + segments.back().size();
  return (end + alignment - 1) / alignment * alignment;
}

Tensor view_of(const Tensor& flat, const Segment& segment) {
  return flat.rows(segment.offset, segment.size()).view(segment.shape);
}

/// [a,b,c,d] to [a,d,b,c]: a convolution kernel from memory (k,r,s,c) to disk (k,c,r,s).
Tensor last_axis_second(const Tensor& x) {
  const Shape s = x.shape();
  const Tensor y = Tensor::empty({s[0], s[3], s[1], s[2]}, x.dtype(), x.device());
  const std::int64_t inner = s[1] * s[2], last = s[3];
  dispatch("state_dict", x, [&](Cpu, auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    for (std::int64_t a = 0; a < s[0]; ++a)
      for (std::int64_t i = 0; i < inner; ++i)
        for (std::int64_t c = 0; c < last; ++c) to[(a * last + c) * inner + i] = from[(a * inner + i) * last + c];
  });
  return y;
}

/// [a,d,b,c] to [a,b,c,d]: the way back. Moving the last axis to the second place twice moves the second one last.
Tensor second_axis_last(const Tensor& x) { return last_axis_second(last_axis_second(x)); }

void check_precision(const Precision& precision, const Device& device) {
  check(precision.compute == precision.master || (precision.compute == DType::bf16 && precision.master == DType::f32),
        "params: f32 parameters may have bf16 copies, not ", precision.master, " ones ", precision.compute, " copies");
  check(!device.is_cpu() || precision.exact(), "params: ", precision,
        " needs a CUDA device; the CPU computes in fp32 and fp64");
}

bool is_kernel(const Segment& segment) { return segment.shape.rank() == 4; }

std::string ours(std::string name, const LoadOptions& options) {
  for (bool stripped = true; stripped;) {
    stripped = false;
    for (const std::string& prefix : options.strip_prefixes)
      if (!prefix.empty() && name.starts_with(prefix)) {
        name.erase(0, prefix.size());
        stripped = true;
      }
  }
  return options.add_prefix + name;
}

/// The first few of a list, for a message.
std::string some_of(const std::vector<std::string>& names) {
  std::string list;
  const std::size_t shown = std::min<std::size_t>(names.size(), 4);
  for (std::size_t i = 0; i < shown; ++i) list += (i ? ", " : "") + names[i];
  return names.size() > shown ? text(list, ", and ", names.size() - shown, " more") : list;
}

}  // namespace

void LoadReport::require_complete(std::string_view source) const {
  check(missing.empty() && unexpected.empty(), source,
        ": the weights do not fit the network:", missing.empty() ? "" : text(" missing ", some_of(missing), ";"),
        unexpected.empty() ? "" : text(" unexpected ", some_of(unexpected), ";"), " check the architecture and stem");
}

int Params::add_group(ParamGroup group) {
  check(!allocated(), "params: group ", group.name, " added after allocate()");
  groups_.push_back(std::move(group));
  return static_cast<int>(groups_.size()) - 1;
}

ParamGroup& Params::group(int number) {
  check(number >= 0 && number < static_cast<int>(groups_.size()), "params: no group ", number);
  return groups_[static_cast<std::size_t>(number)];
}

int Params::declare(const std::string& name, const Shape& shape, const Init& init, int group) {
  check(!allocated(), "params: ", name, " declared after allocate()");
  check(group >= 0 && group < static_cast<int>(groups_.size()), "params: ", name, ": no group ", group);
  for (const auto* segments : {&segments_, &buffer_segments_})
    for (const Segment& s : *segments) check(s.name != name, "params: ", name, " declared twice");
  segments_.push_back({name, shape, next_offset(segments_), group, init});
  return static_cast<int>(segments_.size()) - 1;
}

Weight& Params::weight(const std::string& name, const Shape& shape, const Init& init, int group) {
  declare(name, shape, init, group);
  return handles_.emplace_back();
}

Tensor& Params::parameter(const std::string& name, const Shape& shape, const Init& init, int group) {
  declare(name, shape, init, group);
  return handles_.emplace_back().master;
}

Tensor& Params::buffer(const std::string& name, const Shape& shape, const Init& init) {
  declare(name, shape, init, 0);
  Segment segment = segments_.back();
  segments_.pop_back();
  segment.offset = next_offset(buffer_segments_);
  buffer_segments_.push_back(segment);
  return buffer_handles_.emplace_back();
}

void Params::allocate(Device device, const Precision& precision, std::uint64_t seed) {
  check(!allocated(), "params: allocate() called twice");
  const DType dtype = precision.master;
  check(dtype == DType::f32 || dtype == DType::f64, "params: parameters are f32 or f64, not ", dtype);
  check_precision(precision, device);
  const bool trained = std::any_of(segments_.begin(), segments_.end(), [&](const Segment& s) {
    return groups_[static_cast<std::size_t>(s.group)].trained;
  });
  values_ = Tensor::zeros({next_offset(segments_)}, dtype, device, MemoryUse::parameters);
  buffers_ = Tensor::zeros({next_offset(buffer_segments_)}, dtype, device, MemoryUse::parameters);
  if (precision.compute != dtype)
    copies_ = Tensor::zeros(values_.shape(), precision.compute, device, MemoryUse::parameters);
  if (trained) gradients_ = Tensor::zeros(values_.shape(), dtype, device, MemoryUse::parameters);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Segment& s = segments_[i];
    Tensor values = view_of(values_, s);
    initialize(values, s.init, seed, s.name);
    if (groups_[static_cast<std::size_t>(s.group)].trained) {
      values.requires_grad();
      values.set_grad(view_of(gradients_, s));
    }
    handles_[i] = Weight(values);
    handles_[i].tf32 = precision.tf32;
    if (copies_) handles_[i].compute = view_of(copies_, s);
  }
  refresh();
  for (std::size_t i = 0; i < buffer_segments_.size(); ++i) {
    buffer_handles_[i] = view_of(buffers_, buffer_segments_[i]);
    initialize(buffer_handles_[i], buffer_segments_[i].init, seed, buffer_segments_[i].name);
  }
}

std::int64_t Params::parameter_count() const {
  std::int64_t count = 0;
  for (const Segment& s : segments_) count += s.size();
  return count;
}

const Tensor& Params::find(std::string_view name) const {
  for (std::size_t i = 0; i < segments_.size(); ++i)
    if (segments_[i].name == name) return handles_[i].master;
  for (std::size_t i = 0; i < buffer_segments_.size(); ++i)
    if (buffer_segments_[i].name == name) return buffer_handles_[i];
  throw InputError(text("params: no parameter or buffer named ", name));
}

void Params::zero_grad() const {
  if (gradients_) gradients_.fill(0);
}

void Params::refresh() const {
  if (!copies_) return;
  convert_values(values_, copies_);
  copies_.mark_copy_of(values_);
}

void Params::mark_updated() const {
  values_.mark_written();
  if (copies_) copies_.mark_copy_of(values_);
}

std::vector<NamedTensor> Params::state_dict() const {
  std::vector<NamedTensor> state;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Tensor values = handles_[i].master.to(Device::cpu());
    state.push_back({segments_[i].name, is_kernel(segments_[i]) ? last_axis_second(values) : values});
  }
  for (std::size_t i = 0; i < buffer_segments_.size(); ++i)
    state.push_back({buffer_segments_[i].name, buffer_handles_[i].to(Device::cpu())});
  return state;
}

LoadReport Params::load_state_dict(const std::vector<NamedTensor>& state, const LoadOptions& options) {
  check(allocated(), "load_state_dict: call allocate() first");
  std::map<std::string, const Tensor*> given;
  LoadReport report;
  for (const NamedTensor& entry : state) {
    const std::string name = ours(entry.name, options);
    if (!name.ends_with("num_batches_tracked")) given[name] = &entry.tensor;
  }
  const auto take = [&](const Segment& segment, const Tensor& target) {
    const auto found = given.find(segment.name);
    if (found == given.end()) return report.missing.push_back(segment.name);
    Tensor values = found->second->to(Device::cpu()).to(target.dtype());
    if (is_kernel(segment) && values.rank() == 4) values = second_axis_last(values);
    check(values.shape() == target.shape(), "load_state_dict: ", segment.name, " is ", found->second->shape(),
          " in the file, the network expects ",
          is_kernel(segment) ? last_axis_second(target.to(Device::cpu())).shape() : target.shape());
    target.copy_from(values);
    given.erase(found);
  };
  for (std::size_t i = 0; i < segments_.size(); ++i) take(segments_[i], handles_[i].master.detach());
  for (std::size_t i = 0; i < buffer_segments_.size(); ++i) take(buffer_segments_[i], buffer_handles_[i]);
  for (const auto& [name, tensor] : given) report.unexpected.push_back(name);
  refresh();
  return report;
}

std::int64_t shared_prefix(const Params& part, const Params& whole) {
  for (std::size_t i = 0; i < part.segments().size(); ++i) {
    const Segment& p = part.segments()[i];
    check(i < whole.segments().size() && whole.segments()[i].name == p.name && whole.segments()[i].shape == p.shape,
          "shared_prefix: ", p.name, " ", p.shape, " is not at the same place in the other network");
  }
  if (part.segments().empty()) return 0;
  return part.segments().back().offset + part.segments().back().size();
}

void copy_prefix(const Params& from, const Params& to) {
  const std::int64_t count = shared_prefix(to, from);
  to.values().rows(0, count).copy_from(from.values().rows(0, count));
  for (const Segment& s : to.buffer_segments()) to.find(s.name).copy_from(from.find(s.name));
  to.refresh();
}

}  // namespace kagami
