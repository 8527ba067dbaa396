#include "engine/indices.h"

#include "engine/dispatch.h"

namespace kagami {
namespace {

CheckedIndices check_on(Cpu, const Tensor& indices, const IndexRule& rule, const std::string& before,
                        const std::string& after) {
  CheckedIndices result{indices.clone(), {}};
  auto* index = result.indices.data<std::int32_t>();
  std::int32_t valid = 0;
  for (std::int64_t i = 0; i < indices.numel(); ++i) {
    const bool ignored = rule.ignores && index[i] == rule.ignored;
    check(ignored || (index[i] >= 0 && index[i] < rule.extent), before, '[', i, "] = ", index[i], after);
    if (ignored) index[i] = rule.substitute;
    valid += !ignored;
  }
  result.valid = Tensor::from(std::vector<std::int32_t>{valid}, {}, indices.device());
  return result;
}

#if KAGAMI_HAS_CUDA
CheckedIndices check_on(const Cuda& cuda, const Tensor& indices, const IndexRule& rule, const std::string& before,
                        const std::string& after) {
  const Device device = indices.device();
  CheckedIndices result{Tensor::empty(indices.shape(), DType::i32, device), Tensor::zeros({}, DType::i32, device)};
  check_indices(cuda, rule, device.fault_site(before, after), indices.numel(), indices.data<std::int32_t>(),
                result.indices.data<std::int32_t>(), result.valid.data<std::int32_t>(), device.index_fault());
  return result;
}
void require_on(const Cuda& cuda, const Tensor& valid, const std::string& message) {
  const Device device = valid.device();
  require_valid(cuda, device.fault_site(message, ""), valid.data<std::int32_t>(), device.index_fault());
}
#endif

void require_on(Cpu, const Tensor& valid, const std::string& message) { check(valid.item() > 0, message); }

}  // namespace

CheckedIndices checked_indices(const Tensor& indices, const IndexRule& rule, const std::string& before,
                               const std::string& after) {
  CheckedIndices result;
  on_device(indices, [&](auto device) { result = check_on(device, indices, rule, before, after); });
  return result;
}

void require_valid(const CheckedIndices& checked, const std::string& message) {
  on_device(checked.valid, [&](auto device) { require_on(device, checked.valid, message); });
}

}  // namespace kagami
