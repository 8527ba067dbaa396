#pragma once
// Packed sets: both splits of a data set in one safetensors file, read by mapping it.
//   {train,test}.pixels U8 [bytes], with zeros behind the last image; .offsets I64 [n]; .heights, .widths I32 [n];
//   .labels I32 [n] (absent: unlabelled); .sources U8: the names, each followed by a zero byte, and more zeros.
//   Metadata: kagami.format, kagami.name, kagami.classes (JSON).
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/data/image_set.h"
#include "engine/safetensors.h"

namespace kagami {

/// Writes a pack image after image: only their sizes, labels and names are held in memory.
class PackWriter {
 public:
  PackWriter(const std::filesystem::path& path, std::string name, const std::vector<std::string>& class_names);
  /// `train`, then `test`; a split without images is left out.
  void begin_split(std::string split);
  /// `label` -1: none. Either all images of a split have labels or none.
  void add(std::span<const std::uint8_t> pixels, int height, int width, std::int32_t label, const std::string& source);
  void commit();

 private:
  void end_split();
  template <class T>
  void write_column(const char* column, const std::vector<T>& values);

  Metadata metadata_;
  SafetensorsWriter file_;
  std::string split_, sources_;
  std::vector<std::int64_t> offsets_;
  std::vector<std::int32_t> heights_, widths_, labels_;
};

/// Writes the pack as a whole or not at all. Throws like write_safetensors.
void write_pack(const Dataset& data, const std::filesystem::path& path);

/// Maps a pack: its pixels stay on the disk until they are used. `verify` reads all of it against the checksum.
/// Throws InputError with file, tensor and reason where the file is damaged or no pack.
Dataset read_pack(const std::filesystem::path& path, bool verify = false);

}  // namespace kagami
