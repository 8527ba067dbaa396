#pragma once
// Checkpoints of a run: one safetensors file, whole or absent, and the one before it. What lies in them is the
// caller's: parameters, buffers, optimizer state, position.
#include <filesystem>
#include <vector>

#include "engine/tensor_file.h"

namespace kagami {

std::filesystem::path checkpoint_path(const std::filesystem::path& folder);           ///< checkpoint.safetensors
std::filesystem::path previous_checkpoint_path(const std::filesystem::path& folder);  ///< checkpoint.previous...

/// Makes `tensors` the folder's checkpoint; the one that was there becomes the previous one. At any moment, killed or
/// not, a whole checkpoint lies under its name if one did before.
void save_checkpoint(const std::filesystem::path& folder, const std::vector<NamedTensor>& tensors,
                     const Metadata& metadata);

struct Checkpoint {
  std::vector<NamedTensor> tensors;
  Metadata metadata;
  const Tensor* find(std::string_view name) const;  ///< null where there is none
};

/// Reads the folder's checkpoint (or the previous one) and compares it with its checksum. Throws InputError where there
/// is none, or it is damaged; the message names file and reason, and the previous checkpoint where that one is whole.
Checkpoint load_checkpoint(const std::filesystem::path& folder, Device device, bool previous = false);

}  // namespace kagami
