#pragma once
// Tensors of the engine in safetensors files.
#include <filesystem>
#include <vector>

#include "engine/params.h"
#include "engine/safetensors.h"

namespace kagami {

/// Every tensor of the file, copied, in the order of their data. Integer counters (PyTorch's num_batches_tracked) are
/// passed over; throws InputError, naming the tensor, for any other type that the engine does not have.
std::vector<NamedTensor> read_tensors(const SafetensorsFile& file, Device device);

/// Whole or not at all, with a checksum.
void write_tensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                   const Metadata& metadata = {});

}  // namespace kagami
