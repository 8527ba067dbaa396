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

bool whole(const fs::path& file) {
  try {
    const SafetensorsFile stored(file);
    stored.verify();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

/// Gives the current checkpoint the previous one's name too: there is no moment without a current one.
void keep_as_previous(const fs::path& folder) {
  const fs::path current = checkpoint_path(folder), previous = previous_checkpoint_path(folder);
  const fs::path link = folder / text('.', previous.filename().string(), ".link.tmp");  // as AtomicFile's are named
  fs::remove(link);
  std::error_code no_link;
  fs::create_hard_link(current, link, no_link);
  if (no_link) fs::copy_file(current, link);  // file systems without hard links
  fs::rename(link, previous);
}

}  // namespace

fs::path checkpoint_path(const fs::path& folder) { return folder / "checkpoint.safetensors"; }
fs::path previous_checkpoint_path(const fs::path& folder) { return folder / "checkpoint.previous.safetensors"; }
fs::path next_checkpoint_path(const fs::path& folder) { return folder / "checkpoint.next.safetensors"; }

bool has_checkpoint(const fs::path& folder) {
  return fs::exists(checkpoint_path(folder)) || fs::exists(previous_checkpoint_path(folder)) ||
         fs::exists(next_checkpoint_path(folder));
}

void save_checkpoint(const fs::path& folder, const std::vector<NamedTensor>& tensors, const Metadata& metadata,
                     bool passed_over) {
  const fs::path next = next_checkpoint_path(folder), current = checkpoint_path(folder);
  write_tensors(next, tensors, metadata);  // where this fails, both older ones are still there
  if (!passed_over && whole(current)) keep_as_previous(folder);
  fs::rename(next, current);
}

const Tensor* Checkpoint::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &found->tensor;
}

Checkpoint load_checkpoint(const fs::path& folder, Device device, bool previous) {
  const fs::path other = previous_checkpoint_path(folder), next = next_checkpoint_path(folder);
  if (previous) return read(other, device);
  if (fs::exists(next)) {
    try {
      return read(next, device);
    } catch (const InputError&) {  // damaged, or renamed by now: the run goes on
    }
  }
  try {
    return read(checkpoint_path(folder), device);
  } catch (const InputError& error) {
    if (!whole(other)) throw;
    throw InputError(text(error.what(), "; the checkpoint before it, ", other.string(),
                          ", is whole: add --previous-checkpoint to take that"));
  }
}

}  // namespace kagami
