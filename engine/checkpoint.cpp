#include "engine/checkpoint.h"

#include <algorithm>
#include <system_error>

namespace kagami {
namespace fs = std::filesystem;
namespace {

Checkpoint read(const fs::path& file, Device device) {
  const SafetensorsFile stored(file);
  check(stored.has_checksum(), file.string(), ": has no checksum, so it is no checkpoint that Kagami wrote");
  stored.verify();
  return {read_tensors(stored, device), stored.metadata()};
}

/// Gives the current checkpoint the previous one's name too: there is no moment without a current one.
void keep_as_previous(const fs::path& folder) {
  const fs::path current = checkpoint_path(folder), link = folder / ".checkpoint.previous.tmp";
  if (!fs::exists(current)) return;
  fs::remove(link);
  std::error_code no_link;
  fs::create_hard_link(current, link, no_link);
  if (no_link) fs::copy_file(current, link);  // file systems without hard links
  fs::rename(link, previous_checkpoint_path(folder));
}

bool readable(const fs::path& file) {
  try {
    const SafetensorsFile stored(file);
    stored.verify();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

fs::path checkpoint_path(const fs::path& folder) { return folder / "checkpoint.safetensors"; }
fs::path previous_checkpoint_path(const fs::path& folder) { return folder / "checkpoint.previous.safetensors"; }

void save_checkpoint(const fs::path& folder, const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  const fs::path next = folder / "checkpoint.next.safetensors";
  write_tensors(next, tensors, metadata);  // where this fails, both older ones are still there
  keep_as_previous(folder);
  fs::rename(next, checkpoint_path(folder));
}

const Tensor* Checkpoint::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &found->tensor;
}

Checkpoint load_checkpoint(const fs::path& folder, Device device, bool previous) {
  const fs::path other = previous_checkpoint_path(folder);
  if (previous) return read(other, device);
  try {
    return read(checkpoint_path(folder), device);
  } catch (const InputError& error) {
    if (!readable(other)) throw;
    throw InputError(text(error.what(), "; the checkpoint before it, ", other.string(), ", is whole: go on from that"));
  }
}

}  // namespace kagami
