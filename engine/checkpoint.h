#pragma once
// Checkpoints of a run: one safetensors file, whole or absent, and the one before it. What lies in them is the
// caller's: parameters, buffers, optimizer state, position.
#include <filesystem>
#include <vector>

#include "engine/tensor_file.h"

namespace kagami {

std::filesystem::path checkpoint_path(const std::filesystem::path& folder);           ///< checkpoint.safetensors
std::filesystem::path previous_checkpoint_path(const std::filesystem::path& folder);  ///< checkpoint.previous...
std::filesystem::path next_checkpoint_path(const std::filesystem::path& folder);      ///< checkpoint.next..., in a save
/// Whether there is one, of whatever name.
bool has_checkpoint(const std::filesystem::path& folder);

/// Makes `tensors` the folder's checkpoint. The one that was there becomes the previous one, unless it is damaged or
/// `passed_over`: then the previous one stays. At any moment, killed or not, a whole checkpoint lies under its name if
/// one did before.
void save_checkpoint(const std::filesystem::path& folder, const std::vector<NamedTensor>& tensors,
                     const Metadata& metadata, bool passed_over = false);

struct Checkpoint {
  std::vector<NamedTensor> tensors;
  Metadata metadata;
  const Tensor* find(std::string_view name) const;  ///< null where there is none
};

/// Reads the folder's checkpoint (or the previous one) and compares it with its checksum; the newest is that of a save
/// that was killed before it gave the file its name. Throws InputError where there is none, or it is damaged; the
/// message names file and reason, and the previous checkpoint where that one is whole.
Checkpoint load_checkpoint(const std::filesystem::path& folder, Device device, bool previous = false);

}  // namespace kagami
