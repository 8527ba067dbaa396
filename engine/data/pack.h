#pragma once
// Packed sets: both splits of a data set in one safetensors file, read by mapping it.
//   {train,test}.pixels U8 [bytes]; .offsets I64 [n]; .heights, .widths I32 [n]; .labels I32 [n] (absent: unlabelled);
//   .sources U8: the names, each followed by a zero byte. Metadata: kagami.format, kagami.name, kagami.classes (JSON).
#include <filesystem>

#include "engine/data/image_set.h"

namespace kagami {

/// Writes the pack as a whole or not at all. Throws like write_safetensors.
void write_pack(const Dataset& data, const std::filesystem::path& path);

/// Maps a pack: its pixels stay on the disk until they are used. `verify` reads all of it against the checksum.
/// Throws InputError with file, tensor and reason where the file is damaged or no pack.
Dataset read_pack(const std::filesystem::path& path, bool verify = false);

}  // namespace kagami
