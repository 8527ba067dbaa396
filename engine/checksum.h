#pragma once
// XXH64 (xxHash's published 64-bit algorithm, seed 0): finds damage in files; no protection against intent.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kagami {

/// Takes bytes in pieces; the value depends on their sequence alone, not on where the pieces are cut.
class Checksum {
 public:
  Checksum& add(const void* data, std::size_t bytes);
  Checksum& add(std::string_view bytes) { return add(bytes.data(), bytes.size()); }
  std::uint64_t value() const;

 private:
  void add_stripe(const unsigned char* stripe);

  std::array<std::uint64_t, 4> lanes_{0x60EA27EEADC0B5D6ULL, 0xC2B2AE3D27D4EB4FULL, 0, 0x61C8864E7A143579ULL};
  std::array<unsigned char, 32> pending_{};
  std::uint64_t length_ = 0;
};

}  // namespace kagami
