#include "engine/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace kagami {
namespace {

constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87ULL;
constexpr std::uint64_t prime2 = 0xC2B2AE3D27D4EB4FULL;
constexpr std::uint64_t prime3 = 0x165667B19E3779F9ULL;
constexpr std::uint64_t prime4 = 0x85EBCA77C2B2AE63ULL;
constexpr std::uint64_t prime5 = 0x27D4EB2F165667C5ULL;
constexpr std::size_t stripe_bytes = 32;

template <class Word>
std::uint64_t load(const unsigned char* bytes) {
  static_assert(std::endian::native == std::endian::little, "files are little-endian, and so are the machines we know");
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

std::uint64_t round(std::uint64_t lane, std::uint64_t word) { return std::rotl(lane + word * prime2, 31) * prime1; }

}  // namespace

void Checksum::add_stripe(const unsigned char* stripe) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i] = round(lanes_[i], load<std::uint64_t>(stripe + 8 * i));
}

Checksum& Checksum::add(const void* data, std::size_t bytes) {
  const auto* source = static_cast<const unsigned char*>(data);
  const std::size_t filled = length_ % stripe_bytes;
  length_ += bytes;
  if (filled > 0) {
    const std::size_t take = std::min(bytes, stripe_bytes - filled);
    std::copy_n(source, take, pending_.begin() + static_cast<std::ptrdiff_t>(filled));
    if (filled + take < stripe_bytes) return *this;
    add_stripe(pending_.data());
    source += take;
    bytes -= take;
  }
  for (; bytes >= stripe_bytes; source += stripe_bytes, bytes -= stripe_bytes) add_stripe(source);
  std::copy_n(source, bytes, pending_.begin());
  return *this;
}

std::uint64_t Checksum::value() const {
  std::uint64_t hash = prime5;
  if (length_ >= stripe_bytes) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * prime1 + prime4;
  }
  hash += length_;
  const unsigned char* rest = pending_.data();
  const unsigned char* end = rest + length_ % stripe_bytes;
  for (; end - rest >= 8; rest += 8) {
    hash = std::rotl(hash ^ round(0, load<std::uint64_t>(rest)), 27) * prime1 + prime4;
  }
  for (; end - rest >= 4; rest += 4) {
    hash = std::rotl(hash ^ (load<std::uint32_t>(rest) * prime1), 23) * prime2 + prime3;
  }
  for (; rest < end; ++rest) hash = std::rotl(hash ^ (*rest * prime5), 11) * prime1;
  hash = (hash ^ (hash >> 33)) * prime2;
  hash = (hash ^ (hash >> 29)) * prime3;
  return hash ^ (hash >> 32);
}

}  // namespace kagami
