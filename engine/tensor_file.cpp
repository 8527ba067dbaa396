#include "engine/tensor_file.h"

namespace kagami {

std::vector<NamedTensor> read_tensors(const SafetensorsFile& file, Device device) {
  std::vector<NamedTensor> tensors;
  for (const StoredTensor& stored : file.tensors()) {
    const auto dtype = dtype_of_stored(stored.type);
    if (stored.type == StoredType::i64 && stored.name.ends_with("num_batches_tracked")) continue;
    check(dtype.has_value(), file.path().string(), ": tensor '", stored.name, "' is ", stored.type,
          ", which Kagami does not read; convert it to F32");
    check(stored.shape.size() <= static_cast<std::size_t>(Shape::max_rank), file.path().string(), ": tensor '",
          stored.name, "' has ", stored.shape.size(), " dimensions, at most ", Shape::max_rank, " are read");
    const Tensor tensor = Tensor::empty(Shape(stored.shape), *dtype, device);
    device.copy_in(tensor.raw(), stored.data, stored.bytes());
    tensors.push_back({stored.name, tensor});
  }
  return tensors;
}

void write_tensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                   const Metadata& metadata) {
  std::vector<StoredTensor> stored;
  std::vector<Tensor> on_host;
  for (const NamedTensor& entry : tensors) {
    const Tensor& t = entry.tensor;
    on_host.push_back(t.device().is_cpu() ? t : t.to(Device::cpu()));
    const auto dims = t.shape().dims();
    stored.push_back({entry.name, stored_type_of(t.dtype()), {dims.begin(), dims.end()}, on_host.back().raw()});
  }
  write_safetensors(path, stored, metadata);
}

}  // namespace kagami
